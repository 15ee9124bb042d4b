"""A data source of which each training example keeps some of its labels."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.join_names import Columns, Names
from mtl_jax.data.random_split import generator


@dataclasses.dataclass(frozen=True)
class PartialAnnotation(DataSource):
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

    source: DataSource
    labels: tuple[str, ...]
    most: int = 1
    seed: int = 0

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.NYUv2("x")', self.source)
        valid = isinstance(self.labels, tuple) and len(self.labels) > 0
        valid = valid and all(isinstance(name, str) for name in self.labels)
        valid = valid and len({*self.labels}) == len(self.labels) and "inputs" not in self.labels
        require(valid, self, "labels", "must be different names of labels", self.labels)
        require_int(self, most=1, seed=0)
        rule = f"must be at most {len(self.labels)}, the number of labels"
        require(self.most <= len(self.labels), self, "most", rule, self.most)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the source's training part."""
        shapes = dict(self.source.shapes())
        for name in self.labels:
            if name not in shapes:
                raise BadInput(
                    f"PartialAnnotation: the source has no {name!r}, but {sorted(shapes)}"
                )
            valid = np.dtype(shapes[name].dtype).kind in "if"
            rule = "must have labels of signed integers or floats"
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

    def load(self) -> Splits:
        """Reads the source and hides labels of the training part."""
        self.shapes()
        train, *rest = self.source.load()
        count = len(train[self.labels[0]])
        rng = generator(self.seed, "partial annotation")
        kept = draw_kept(count, len(self.labels), self.most, rng)
        hidden = {
            name: hide(train[name], ~mask) for name, mask in zip(self.labels, kept, strict=True)
        }
        return Splits({**train, **hidden}, *rest)


def draw_kept(count: int, num_labels: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Which labels each example keeps, bool `[K, N]`: those kept least so far, in random order."""
    sizes = rng.integers(1, most + 1, count)
    mask, counts = np.zeros((num_labels, count), bool), np.zeros(num_labels)
    for i in rng.permutation(count):
        least_first = np.argsort(counts + rng.random(num_labels) / 2)  # Ties are broken at random.
        rows = least_first[: sizes[i]]
        mask[rows, i] = True
        counts[rows] += 1
    return mask


def hide(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy of labels `[N, ...]`, missing in the given examples."""
    values = values.copy()
    values[rows] = np.nan if values.dtype.kind == "f" else -1
    return values
