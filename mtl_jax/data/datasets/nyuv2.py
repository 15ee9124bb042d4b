"""NYUv2: indoor scenes with classes, depth and surface normals of pixels."""

import dataclasses
from typing import Literal

import jax

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.data.datasets.npy_folders import (
    NpyLabel,
    benchmark_shapes,
    check_settings,
    load_benchmark,
    open_benchmark,
)

# The 13 classes of https://github.com/ankurhanda/nyuv2-meta-data, by name.
CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table",
    "tv", "wall", "window",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NYUv2(DataSource):
    """NYUv2 as MTAN has prepared it, 795 training and 654 test images of 288 x 384.

    | array        | shape          | type    | meaning                                   |
    |--------------|----------------|---------|-------------------------------------------|
    | inputs       | `[N, H, W, 3]` | uint8   | image                                     |
    | segmentation | `[N, H, W]`    | int32   | 13 classes, -1 where unlabelled           |
    | depth        | `[N, H, W, 1]` | float32 | metres, NaN where unknown (0 in the file) |
    | normal       | `[N, H, W, 3]` | float32 | unit vector, NaN where unknown (0)        |

    The folders are `train` and `val`, each with `image`, `label`, `depth` and `normal`, and in them
    files `0.npy`, `1.npy`, ... (https://github.com/lorenmt/mtan), channels first or last. The test
    part is `val`. All published results train on all of `train` and have no validation; some select
    the evaluation on the test images.

    Attributes:
      path: path of the folder.
      validation: fraction of `train` that is held out for validation; None trains on all, as
        published, and validates on the test part, which should then select nothing.
      dtype: type of the images; "uint8" rounds values in [0, 1] to bytes, which take a quarter
        of the memory (0.5 GB for all images).
      seed: seed of the held-out images.

    Raises:
      BadInput: for a setting of the wrong type or range; and from `shapes` and `load`, naming the
        file, for one that is missing, or, from `load`, of another shape or with other values.

    Reference: Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV
      2012 (https://doi.org/10.1007/978-3-642-33715-4_54); Liu, Johns and Davison, End-to-End
      Multi-Task Learning with Attention, CVPR 2019, Section 4.1 (https://arxiv.org/abs/1803.10704).

    Example:
      >>> from mtl_jax import data
      >>> data.NYUv2("nyuv2").classes()["segmentation"][0]
      'bed'
    """

    path: str
    validation: float | None = 0.1
    dtype: Literal["uint8", "float32"] = "uint8"
    seed: int = 0

    def __post_init__(self):
        check_settings(self)

    def labels(self) -> tuple[NpyLabel, ...]:
        """Labels and their folders."""
        segmentation = NpyLabel("segmentation", "label", classes=len(CLASSES))
        return segmentation, NpyLabel("depth", "depth"), NpyLabel("normal", "normal", channels=3)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; files are counted, and one header is read."""
        return benchmark_shapes(self, self.labels())

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "segmentation", in the order of their integers."""
        return {"segmentation": CLASSES}

    def load(self) -> Splits:
        """Reads the images and the labels."""
        return load_benchmark(self, self.labels())

    def open_splits(self) -> Splits:
        """The same with files that are read when needed."""
        return open_benchmark(self, self.labels())
