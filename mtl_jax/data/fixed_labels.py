"""A data source whose labelled set is read from a file."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require, require_int
from mtl_jax.data.join_names import Columns, Names
from mtl_jax.data.labels import as_signed
from mtl_jax.data.splits import read_splits


@dataclasses.dataclass(frozen=True)
class FixedLabels(DataSource):
    """Wraps a source and hides all training labels outside a labelled set read from a file.

    A run on it uses all labels of the set: set `num_labelled` to the size of the set, and
    `num_seeds=1`, since the set is the same for all seeds.

    Attributes:
      source: wrapped source, with a single input.
      task: name of the label, which has classes.
      path: path of the file, see `read_splits`.
      seed: key of the labelled set in the file; for STL-10 folds the fold index, from 0.

    Raises:
      BadInput: for settings of the wrong type; and from `load` as in `read_splits`, or if the file
        has no such set.

    Example:
      >>> from mtl_jax import data
      >>> source = data.FixedLabels(data.Digits(), "digit", "labels.json", seed=1)
      >>> source.shapes()["inputs"].shape
      (1078, 8, 8, 1)
    """

    source: DataSource
    task: str
    path: str
    seed: int = 0

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", "must be a source of data", self.source)
        for field in ("task", "path"):
            value = getattr(self, field)
            require(isinstance(value, str) and value, self, field, "must be a string", value)
        require_int(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; the file is not read."""
        return dict(self.source.shapes())

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of the unlabelled training images, if the source defines them."""
        return self.source.pools()

    def classes(self) -> dict[str, Names]:
        """Classes of each label that the source names, in the order of their integers."""
        return self.source.classes()

    def columns(self) -> Columns | None:
        """Columns of the source's features, if it provides them."""
        return self.source.columns()

    def text_tokenizer(self) -> Callable | None:
        """The source's tokenizer, if it has one."""
        return self.source.text_tokenizer()

    def load(self) -> Splits:
        """Reads the source and hides labels of this task only, as class -1."""
        return self.hide_labels(self.source.load())

    def open_splits(self) -> Splits:
        """The same with what the source reads when it is needed."""
        return self.hide_labels(self.source.open_splits())

    @property
    def has_random_access(self) -> bool:
        """Whether the source has it."""
        return self.source.has_random_access

    def hide_labels(self, splits: Splits) -> Splits:
        """The splits with the labels of the set alone in the training part."""
        train, *rest = splits
        sets = read_splits(self.path, train, self.task)
        if self.seed not in sets:
            rule = f"has no set {self.seed} ({did_you_mean(str(self.seed), map(str, sets))})"
            raise BadInput(f"{self.path} {rule}")
        labels = np.full_like(as_signed(train[self.task]), -1)
        index = sets[self.seed]
        labels[index] = train[self.task][index]
        return Splits({**train, self.task: labels}, *rest)
