"""A data source of which a file says which training examples keep which labels."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits, WrappedSource
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.datasets.npy_folders import open_array
from mtl_jax.data.label_names import require_label_names
from mtl_jax.data.partial_annotation import hide, shapes_with_missing


@dataclasses.dataclass(frozen=True)
class MaskedLabels(WrappedSource):
    """Wraps a source and hides the labels of training examples that a file does not keep.

    The other parts keep all labels. `PartialAnnotation` draws what is kept; this source has a draw
    that somebody published.

    Attributes:
      source: wrapped source, with a single input.
      labels: names of the labels, signed integers (-1 where hidden) or floats (NaN), `[N, ...]`.
      file: path of a `.npy` file `[N, K]`, 1 where an example keeps a label and 0 where it does
        not, in the order of `labels`.

    Raises:
      BadInput: for a value that is no data source, or names that are no tuple of different strings;
        and from `shapes` and `load` for a label that does not exist or is of another type, or a
        file that is missing, of another shape, or of other numbers.

    Example:
      >>> from mtl_jax import data
      >>> rooms = data.NYUv2("nyuv2")
      >>> names = ("segmentation", "depth", "normal")
      >>> data.MaskedLabels(rooms, names, "onelabel.npy").file
      'onelabel.npy'
    """

    labels: tuple[str, ...]
    file: str

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.NYUv2("x")', self.source)
        require_label_names(self)
        require(isinstance(self.file, str), self, "file", "must be a path", self.file)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the source's training part."""
        shapes = shapes_with_missing(self)
        read_mask(pathlib.Path(self.file), (shapes[self.labels[0]].shape[0], len(self.labels)))
        return shapes

    def load(self) -> Splits:
        """Reads the source and hides labels of the training part."""
        return self.hide_labels(self.source.load())

    def open_splits(self) -> Splits:
        """The same with what the source reads when it is needed."""
        return self.hide_labels(self.source.open_splits())

    def hide_labels(self, splits: Splits) -> Splits:
        """The splits without the labels of the training part that the file does not keep."""
        train, *rest = splits
        shape = (len(train[self.labels[0]]), len(self.labels))
        kept = read_mask(pathlib.Path(self.file), shape)
        hidden = {
            name: hide(train[name], ~mask) for name, mask in zip(self.labels, kept.T, strict=True)
        }
        return Splits({**train, **hidden}, *rest)


def read_mask(file: pathlib.Path, shape: tuple[int, int]) -> np.ndarray:
    """Which labels are kept, bool `[N, K]`.

    Raises:
      BadInput: naming the file, if it is missing, of another shape, or has other numbers.
    """
    kept = np.asarray(open_array(file, (2,)))
    if kept.shape != shape:
        rule = (
            f"must have a row for each of {shape[0]} examples and a column for each of {shape[1]}"
        )
        raise BadInput(f"{file} {rule} labels, not {list(kept.shape)}")
    if not np.isin(kept, (0, 1)).all():
        raise BadInput(f"{file} must have 0 and 1 alone, not {kept[~np.isin(kept, (0, 1))][0]}")
    return kept.astype(bool)
