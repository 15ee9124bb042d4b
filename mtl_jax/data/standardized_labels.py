"""Continuous labels of a source, scaled to mean 0 and variance 1."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.join_names import Columns, Names


@dataclasses.dataclass(frozen=True)
class StandardizedLabels(DataSource):
    """Wraps a source and standardizes continuous labels: `(y - mean) / std` of the training part.

    Means and standard deviations are over the known values, for each entry of a label `[N, D]`
    alone. An error of a standardized label times `std` is in the label's own unit, see `scales`.

    Attributes:
      source: wrapped source, with a single input.
      labels: names of the labels, floats `[N]` or `[N, D]`.

    Raises:
      BadInput: for a value that is no data source, or names that are no tuple of different strings;
        from `shapes`, `scales` and `load` for a label that does not exist or is not of floats; and
        from `scales` and `load` for one that is constant or unknown in the training part.

    Example:
      >>> from mtl_jax import data
      >>> data.StandardizedLabels(data.QM9("~/tensorflow_datasets"), ("mu", "Cv")).labels
      ('mu', 'Cv')
    """

    source: DataSource
    labels: tuple[str, ...]

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.QM9("x")', self.source)
        valid = isinstance(self.labels, tuple) and len(self.labels) > 0
        valid = valid and all(isinstance(name, str) for name in self.labels)
        valid = valid and len({*self.labels}) == len(self.labels) and "inputs" not in self.labels
        require(valid, self, "labels", "must be different names of labels", self.labels)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the source's training part."""
        shapes = dict(self.source.shapes())
        for name in self.labels:
            if name not in shapes:
                raise BadInput(
                    f"StandardizedLabels: the source has no {name!r}, but {sorted(shapes)}"
                )
            valid = shapes[name].dtype == np.float32 and len(shapes[name].shape) <= 2
            rule = "must have labels float32 [N] or [N, D]"
            require(valid, self, f"labels: {name!r}", rule, shapes[name])
        return shapes

    def num_labelled(self) -> int:
        """Number of labelled examples of the source."""
        return self.source.num_labelled()

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of unlabelled training examples, if the source defines them."""
        return self.source.pools()

    def classes(self) -> dict[str, Names]:
        """Classes of the source's labels, if it names them."""
        return self.source.classes()

    def text_tokenizer(self) -> Callable | None:
        """The tokenizer of the source."""
        return self.source.text_tokenizer()

    def columns(self) -> Columns | None:
        """Column names of the source."""
        return self.source.columns()

    def scales(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean and standard deviation of each label, `[]` or `[D]`; reads the source."""
        self.shapes()
        return self.scales_of(self.source.load())

    def load(self) -> Splits:
        """Reads the source and standardizes its labels."""
        self.shapes()
        splits = self.source.load()
        scales = self.scales_of(splits)
        return Splits(
            *(
                {
                    name: standardize(array, *scales[name]) if name in scales else array
                    for name, array in part.items()
                }
                for part in splits
            )
        )

    def scales_of(self, splits: Splits) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean and standard deviation over the known values of the training part, float64."""
        scales = {}
        for name in self.labels:
            values = np.asarray(splits.train[name], np.float64)
            known = np.isfinite(values).any(0).all()
            require(
                bool(known), self, f"labels: {name!r}", "must have known values in train", "none"
            )
            mean, std = np.nanmean(values, 0), np.nanstd(values, 0)
            varies = (np.nanmin(values, 0) < np.nanmax(values, 0)).all()
            require(bool(varies), self, f"labels: {name!r}", "must vary in train", mean.tolist())
            scales[name] = mean, std
        return scales


def standardize(values: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """A label in standard deviations from the mean."""
    return ((values - mean) / std).astype(np.float32)
