"""Cityscapes: street scenes with classes and inverse depth of pixels."""

import dataclasses
from typing import Literal

import jax

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require, require_int
from mtl_jax.data.datasets.npy_folders import (
    NpyLabel,
    benchmark_shapes,
    check_settings,
    load_benchmark,
    open_benchmark,
)


@dataclasses.dataclass(frozen=True)
class Cityscapes(DataSource):
    """Cityscapes as MTAN has prepared it, 2975 training and 500 test images of 128 x 256.

    "inputs" `[N, H, W, 3]`, "segmentation" int32 `[N, H, W]` with -1 where unlabelled, and "depth"
    float32 `[N, H, W, 1]`, the inverse depth, NaN where unknown (0 in the file). The layout is that
    of `NYUv2` without normals. Cityscapes as its authors distribute it is read by `DenseFolder`.

    Attributes:
      path: path of the folder.
      validation: as in `NYUv2`, like `dtype`.
      label: folder of the classes, such as "label_7" or "label_19" in some copies.
      num_classes: number of classes: 7 in the tables of two tasks, or 19.
      seed: seed of the held-out images.

    Raises:
      BadInput: as in `NYUv2`; for a label that is no string, or a number below 1.

    Reference: Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR
      2016 (https://arxiv.org/abs/1604.01685); Liu, Johns and Davison, CVPR 2019, Section 4.1
      (https://arxiv.org/abs/1803.10704).

    Example:
      >>> from mtl_jax import data
      >>> data.Cityscapes("cityscapes", validation=None)
      Cityscapes(path='cityscapes', validation=None, dtype='uint8', label='label', num_classes=7, seed=0)
    """

    path: str
    validation: float | None = 0.1
    dtype: Literal["uint8", "float32"] = "uint8"
    label: str = "label"
    num_classes: int = 7
    seed: int = 0

    def __post_init__(self):
        check_settings(self)
        require(isinstance(self.label, str), self, "label", "must be a string", self.label)
        require_int(self, num_classes=1)

    def labels(self) -> tuple[NpyLabel, ...]:
        """Labels and their folders."""
        segmentation = NpyLabel("segmentation", self.label, classes=self.num_classes)
        return segmentation, NpyLabel("depth", "depth")

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; files are counted, and one header is read."""
        return benchmark_shapes(self, self.labels())

    def load(self) -> Splits:
        """Reads the images and the labels."""
        return load_benchmark(self, self.labels())

    def open_splits(self) -> Splits:
        """The same with files that are read when needed."""
        return open_benchmark(self, self.labels())
