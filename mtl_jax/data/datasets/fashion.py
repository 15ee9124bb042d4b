"""Fashion-MNIST: grayscale images of clothing in the format of MNIST."""

import dataclasses
import os
import pathlib

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.data.datasets.tfds import Tfds
from mtl_jax.data.files.idx import read_idx
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import generator, split_sizes, stratified_split

TRAIN, TEST, SIDE, CLASSES = 60_000, 10_000, 28, 10
DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")  # Of the Debian package.


@dataclasses.dataclass(frozen=True)
class FashionMNIST(DataSource):
    """Fashion-MNIST: "inputs" `[N, 28, 28, 1]` uint8 and "label" `[N]` int32, ten classes.

    The 60,000 training images are split into train and validation, stratified by class; the
    10,000 test images are the test part. The split depends on the seed and on the order of the
    images, which differs between the IDX files and TFDS.

    Attributes:
      folder: folder of the four IDX files, plain or gzipped (`train-images-idx3-ubyte`,
        `train-labels-idx1-ubyte`, and both with `t10k`). None uses the path of Debian's package
        `dataset-fashion-mnist`, or, if it is not installed, TFDS' `fashion_mnist` in
        `$TFDS_DATA_DIR`, by default `~/tensorflow_datasets`.
      validation: fraction of the training images used for validation.
      seed: seed of the split.

    Raises:
      BadInput: for a folder that is not a string, a fraction outside (0, 1) or that leaves a part
        empty, or a negative seed; and from `load` if the data are not found or are damaged.

    Reference: Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
      Machine Learning Algorithms, 2017 (https://arxiv.org/abs/1708.07747).

    Example:
      >>> from mtl_jax import data
      >>> data.FashionMNIST(validation=0.1).shapes()["inputs"].shape
      (54000, 28, 28, 1)
    """

    folder: str | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        valid = self.folder is None or (isinstance(self.folder, str) and bool(self.folder))
        require(valid, self, "folder", "must be a path or None", self.folder)
        require_number(self, validation=(0.0, 1.0))
        valid = 0 < self.validation < 1 and min(split_sizes(TRAIN, self.validation, 0.0)[:2]) > 0
        require(valid, self, "validation", "must leave no part empty", self.validation)
        require_int(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        count = split_sizes(TRAIN, self.validation, 0.0)[0]
        return {
            "inputs": jax.ShapeDtypeStruct((count, SIDE, SIDE, 1), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def load(self) -> Splits:
        """Reads and splits the images."""
        if self.folder is not None:
            train, test = read_folder(expand_path(self.folder))
        elif DEBIAN.is_dir():
            train, test = read_folder(DEBIAN)
        else:
            train, test = read_tfds()
        rng = generator(self.seed, "fashion")
        parts = stratified_split(train["label"], self.validation, 0.0, rng)[:2]
        return Splits(*({k: v[part] for k, v in train.items()} for part in parts), test)


def read_folder(folder: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads training and test images and labels from IDX files."""

    def read(name: str, count: int) -> dict[str, np.ndarray]:
        images = read_idx(folder, f"{name}-images-idx3-ubyte", (count, SIDE, SIDE))
        labels = read_idx(folder, f"{name}-labels-idx1-ubyte", (count,))
        if labels.max() >= CLASSES:
            raise BadInput(f"{folder} must have labels below {CLASSES}, not {labels.max()}")
        return {"inputs": images[..., None], "label": labels.astype(np.int32)}

    return read("train", TRAIN), read("t10k", TEST)


def read_tfds() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads training and test images and labels prepared by TFDS."""
    data_dir = os.environ.get("TFDS_DATA_DIR") or str(pathlib.Path.home() / "tensorflow_datasets")
    try:
        # Parts may not be empty or share images, so the first image is moved back afterwards.
        splits = Tfds("fashion_mnist", data_dir, split=("train", "test[:1]", "test[1:]")).load()
    except BadInput as error:
        raise BadInput(
            f"Fashion-MNIST is not in {DEBIAN} (apt-get install dataset-fashion-mnist), "
            f"no folder with its IDX files was given, and of TFDS: {error}"
        ) from None
    _, first, rest = splits
    return dict(splits.train), {k: np.concatenate([first[k], rest[k]]) for k in rest}
