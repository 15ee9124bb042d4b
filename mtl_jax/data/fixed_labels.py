"""A source of which only the labels of one labelled set are known."""

import dataclasses
from typing import Any

import jax
import numpy as np

from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput, near, require, require_count
from mtl_jax.data.join_names import Columns, Names, classes_of, columns_of, tokens_of
from mtl_jax.data.labels import signed
from mtl_jax.data.splits import read_splits


@dataclasses.dataclass(frozen=True)
class FromSplit:
    """Another source's examples, with the training labels of a set from a file, all others hidden.

    A run on it takes all labels that there are: give it `labelled` as many as the set has, and
    `seeds=1`, since the set is the same for all seeds.

    Attributes:
      source: whose examples these are, of one input.
      task: name of the classes.
      path: of the file, see `read_splits`.
      seed: which of its sets; of STL-10's folds the number, from 0.

    Raises:
      BadInput: for settings of the wrong kind; and from `load` as `read_splits`, or if the file
        has no such set.
    """

    source: Source
    task: str
    path: str
    seed: int = 0

    def __post_init__(self):
        fine = hasattr(self.source, "load") and hasattr(self.source, "shapes")
        require(fine, self, "source", "must be a source of data", self.source)
        for field in ("task", "path"):
            value = getattr(self, field)
            require(isinstance(value, str) and value, self, field, "must be a string", value)
        require_count(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; the file is not read."""
        return dict(self.source.shapes())

    def pools(self) -> dict[str, np.ndarray]:
        """Which training images come without labels, if the source says."""
        return self.source.pools() if hasattr(self.source, "pools") else {}

    def classes(self) -> dict[str, Names]:
        """The classes of labels whose names the source tells, in the order of their integers."""
        return classes_of(self.source)

    def columns(self) -> Columns | None:
        """The columns of the source's features, if it tells them."""
        return columns_of(self.source)

    @property
    def tokens(self) -> Any:
        """What makes the source's tokens, if it tells."""
        return tokens_of(self.source)

    def load(self) -> Splits:
        """Reads the source and hides labels: -1 stands for a class, of this task only."""
        train, *judged = self.source.load()
        sets = read_splits(self.path, train, self.task)
        if self.seed not in sets:
            rule = f"has no set {self.seed} ({near(str(self.seed), map(str, sets))})"
            raise BadInput(f"{self.path} {rule}")
        hidden = np.full_like(signed(train[self.task]), -1)
        index = sets[self.seed]
        hidden[index] = train[self.task][index]
        return Splits({**train, self.task: hidden}, *judged)
