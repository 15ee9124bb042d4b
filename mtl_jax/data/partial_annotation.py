"""A data source of which each training example keeps some of its labels."""

import dataclasses
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits, WrappedSource
from mtl_jax.core.rows import Rows, WrappedRows
from mtl_jax.core.validation import require, require_int
from mtl_jax.data.label_names import ChangesLabels, require_label_names, shapes_with_labels
from mtl_jax.data.random_split import generator


@dataclasses.dataclass(frozen=True)
class PartialAnnotation(WrappedSource):
    """Wraps a source and hides labels: each training example keeps 1 to `most` of those named.

    How many is uniform and independent for every example; which ones, so that all labels are kept
    for nearly as many examples. With `most=1` their numbers differ by at most 1. The other parts
    keep all labels. All runs on this source have the same labels, also those of a single task,
    whereas `Labels.partial` draws them anew for each run and seed.

    Attributes:
      source: wrapped source, with a single input.
      labels: names of the labels, signed integers (-1 where hidden) or floats (NaN), `[N, ...]`.
      most: largest number of labels that an example keeps.
      seed: seed of the drawing.

    Raises:
      BadInput: for a value that is no data source, names that are no tuple of different strings, or
        a number outside 1 to the number of labels; and from `shapes` and `load` for a label that
        does not exist or is of another type.

    Reference: Li, Liu and Bilen, Learning Multiple Dense Prediction Tasks from Partially Annotated
      Data, CVPR 2022, Section 4 (https://arxiv.org/abs/2111.14893): "one label", and with
      `most=K - 1` "random labels".

    Example:
      >>> from mtl_jax import data
      >>> rooms = data.NYUv2("nyuv2")
      >>> data.PartialAnnotation(rooms, ("segmentation", "depth", "normal"), most=2).labels[1]
      'depth'
    """

    labels: tuple[str, ...]
    most: int = 1
    seed: int = 0

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.NYUv2("x")', self.source)
        require_label_names(self)
        require_int(self, most=1, seed=0)
        rule = f"must be at most {len(self.labels)}, the number of labels"
        require(self.most <= len(self.labels), self, "most", rule, self.most)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the source's training part."""
        return shapes_with_missing(self)

    def load(self) -> Splits:
        """Reads the source and hides labels of the training part."""
        return self.hide_labels(self.source.load())

    def open_splits(self) -> Splits:
        """The same with what the source reads when it is needed."""
        return self.hide_labels(self.source.open_splits())

    def hide_labels(self, splits: Splits) -> Splits:
        """The splits without some labels of the training part."""
        self.shapes()
        train, *rest = splits
        count = len(train[self.labels[0]])
        rng = generator(self.seed, "partial annotation")
        kept = sample_kept(count, len(self.labels), self.most, rng)
        hidden = {
            name: hide(train[name], ~mask) for name, mask in zip(self.labels, kept, strict=True)
        }
        return Splits({**train, **hidden}, *rest)


def shapes_with_missing(owner: ChangesLabels) -> dict[str, Any]:
    """Shapes and types of the source's training part, whose labels may be missing.

    Raises:
      BadInput: for a label that the source does not have, or of bytes.
    """
    shapes = shapes_with_labels(owner)
    for name in owner.labels:
        valid = np.dtype(shapes[name].dtype).kind in "if"
        rule = "must have labels of signed integers or floats"
        require(valid, owner, f"labels: {name!r}", rule, shapes[name])
    return shapes


def sample_kept(count: int, num_labels: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Which labels each example keeps, bool `[K, N]`: those kept least so far, in random order."""
    sizes = rng.integers(1, most + 1, count)
    mask, counts = np.zeros((num_labels, count), bool), np.zeros(num_labels)
    for i in rng.permutation(count):
        least_first = np.argsort(counts + rng.random(num_labels) / 2)  # Ties are broken at random.
        rows = least_first[: sizes[i]]
        mask[rows, i] = True
        counts[rows] += 1
    return mask


class PartlyHidden(WrappedRows):
    """Labels on disk of which some examples are missing.

    Attributes:
      hidden: mask `[N]` of the missing ones.
    """

    def __init__(self, rows: Rows, hidden: np.ndarray):
        super().__init__(rows)
        self.hidden = hidden

    def known(self) -> np.ndarray:
        """Which labels are there."""
        known = super().known()
        return ~self.hidden if known is None else known & ~self.hidden

    def read(self, index: np.ndarray) -> np.ndarray:
        """The labels `[n, ...]` at indices `[n]`."""
        return hide(self.rows.read(index), self.hidden[index])

    def identity(self) -> str:
        """The identity of the labels, with the hidden ones."""
        return f"{super().identity()}{np.flatnonzero(self.hidden).tolist()}"


def hide(values: Any, rows: np.ndarray) -> Any:
    """A copy of labels `[N, ...]`, missing in the examples of a mask `[N]`."""
    if isinstance(values, Rows):
        return PartlyHidden(values, rows)
    values = values.copy()
    values[rows] = np.nan if values.dtype.kind == "f" else -1
    return values
