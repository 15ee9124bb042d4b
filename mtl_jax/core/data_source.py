"""Base classes of data sources, and the arrays they return."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import num_examples


class Splits(NamedTuple):
    """Arrays of a dataset: each split maps "inputs" and the label names to `[N, ...]`.

    Inputs are one array or a dict of arrays, such as the tokens and the mask of a text. If tasks
    have separate inputs, a split maps stream names to such mappings; each label belongs
    to one stream. Images are floats in [0, 1] or uint8. A missing label is -1 (classes) or NaN
    (continuous targets); of a vector or a map some or all entries may be missing. Any name other
    than "inputs" may be a label name.
    """

    train: Mapping[str, Any]
    validation: Mapping[str, Any]
    test: Mapping[str, Any]


class DataSource(abc.ABC):
    """Configuration of a dataset; nothing is read before `load`.

    All methods but `shapes` and `load` have a default, and those but `open_splits` read no more than
    `shapes` does.
    """

    @default_property
    def num_labelled_by_task(self) -> Mapping[str, int]:
        """Number of labelled examples by task, if the source specifies it."""
        return {}

    @abc.abstractmethod
    def shapes(self) -> Mapping[str, Any]:
        """Shapes and dtypes of the training split."""

    @abc.abstractmethod
    def load(self) -> Splits:
        """Reads the arrays."""

    def open_splits(self) -> Splits:
        """The same with `mtl_jax.core.rows.Rows` for what is read when it is needed.

        By default all arrays are read.
        """
        return self.load()

    @property
    def has_random_access(self) -> bool:
        """Whether `open_splits` reads some examples when they are needed."""
        if type(self).open_splits is DataSource.open_splits:
            return False
        # A class that changes `load` alone must not be read by the `open_splits` of its base.
        places = [
            next(place for place, each in enumerate(type(self).__mro__) if name in vars(each))
            for name in ("open_splits", "load")
        ]
        return places[0] <= places[1]

    def num_labelled(self) -> int:
        """Number of labelled training examples; by default, all of the first stream."""
        first = next(iter(self.shapes().values()))
        return num_examples(first)

    def pools(self) -> dict[str, np.ndarray]:
        """Indices `[M]` of the unlabelled training examples by stream; {} uses all examples."""
        return {}

    def classes(self) -> dict[str, tuple]:
        """Class names in label order, by label name, for labels that have class names."""
        return {}

    def text_tokenizer(self) -> Callable | None:
        """The tokenizer of text data, or None."""
        return None

    def columns(self) -> dict[str, Any] | None:
        """Column names of the features in order, or None if they have no names."""
        return None


@dataclasses.dataclass(frozen=True)
class WrappedSource(DataSource):
    """A source that changes another one, and forwards to it what it does not define."""

    source: DataSource

    @property
    def has_random_access(self) -> bool:
        """Whether it defines `open_splits`, and the source does."""
        return super().has_random_access and self.source.has_random_access

    def num_labelled(self) -> int:
        """Number of labelled training examples of the source."""
        return self.source.num_labelled()

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of unlabelled training examples, if the source defines them."""
        return self.source.pools()

    def classes(self) -> dict[str, tuple]:
        """Classes of the source's labels, if it names them."""
        return self.source.classes()

    def text_tokenizer(self) -> Callable | None:
        """The tokenizer of the source."""
        return self.source.text_tokenizer()

    def columns(self) -> dict[str, Any] | None:
        """Column names of the source."""
        return self.source.columns()
