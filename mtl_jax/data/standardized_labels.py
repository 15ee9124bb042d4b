"""Continuous labels of a source, scaled to mean 0 and variance 1."""

import dataclasses
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits, WrappedSource
from mtl_jax.core.validation import require
from mtl_jax.data.label_names import require_label_names, shapes_with_labels


@dataclasses.dataclass(frozen=True)
class StandardizedLabels(WrappedSource):
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

    labels: tuple[str, ...]

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.QM9("x")', self.source)
        require_label_names(self)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the source's training part."""
        shapes = shapes_with_labels(self)
        for name in self.labels:
            valid = shapes[name].dtype == np.float32 and len(shapes[name].shape) <= 2
            rule = "must have labels float32 [N] or [N, D]"
            require(valid, self, f"labels: {name!r}", rule, shapes[name])
        return shapes

    def scales(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean and standard deviation of each label, `[]` or `[D]`; reads the source."""
        self.shapes()
        return self.scales_of(self.source.load())

    def load(self) -> Splits:
        """Reads the source and standardizes its labels."""
        return self.standardize(self.source.load())

    def open_splits(self) -> Splits:
        """The same with what the source reads when it is needed; the labels are read."""
        return self.standardize(self.source.open_splits())

    def standardize(self, splits: Splits) -> Splits:
        """The splits with standardized labels."""
        self.shapes()
        scales = self.scales_of(splits)
        return Splits(
            *(
                {
                    name: standardize(np.asarray(array), *scales[name]) if name in scales else array
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
