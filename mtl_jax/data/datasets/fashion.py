"""Fashion-MNIST: real grey pictures of clothes, as large as MNIST's digits."""

import dataclasses
import os
import pathlib

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, require, require_count, require_number
from mtl_jax.data.datasets.tfds import Tfds
from mtl_jax.data.files.idx import read_idx
from mtl_jax.data.files.paths import path_of
from mtl_jax.data.random_split import generator, sizes, stratified

TRAIN, TEST, SIDE, CLASSES = 60_000, 10_000, 28, 10
DEBIAN = pathlib.Path("/usr/share/datasets/fashion-mnist")  # Of the package, on every machine.


@dataclasses.dataclass(frozen=True)
class FashionMNIST:
    """Fashion-MNIST: "image" `[N, 28, 28, 1]` uint8 and "label" `[N]` int32, ten classes.

    The 60,000 training images are parted into train and validation, in every class alike; the
    10,000 test images are the test part. The seed decides the parts for the order in which the
    images come, which is not the same in files and in TFDS.

    Attributes:
      folder: where the four IDX files lie, plain or gzipped (`train-images-idx3-ubyte`,
        `train-labels-idx1-ubyte`, and both with `t10k`). None is where Debian's package
        `dataset-fashion-mnist` puts them; or, if they are not there, TFDS' `fashion_mnist` in
        `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`, its own place.
      validation: share of the validation part of the training images.
      seed: of the parts.

    Raises:
      BadInput: for a folder that is no text, a share outside (0, 1) or that leaves a part
        empty, or a negative seed; and from `load` if the data are nowhere, or damaged.

    Reference: Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
      Machine Learning Algorithms, 2017 (https://arxiv.org/abs/1708.07747).
    """

    folder: str | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        fine = self.folder is None or (isinstance(self.folder, str) and bool(self.folder))
        require(fine, self, "folder", "must be a path or None", self.folder)
        require_number(self, validation=(0.0, 1.0))
        fine = 0 < self.validation < 1 and min(sizes(TRAIN, self.validation, 0.0)[:2]) > 0
        require(fine, self, "validation", "must leave no part empty", self.validation)
        require_count(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        count = sizes(TRAIN, self.validation, 0.0)[0]
        return {
            "image": jax.ShapeDtypeStruct((count, SIDE, SIDE, 1), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def load(self) -> Splits:
        """Reads the images and parts them."""
        if self.folder is not None:
            train, test = read_folder(path_of(self.folder))
        elif DEBIAN.is_dir():
            train, test = read_folder(DEBIAN)
        else:
            train, test = read_tfds()
        rng = generator(self.seed, "fashion")
        chosen = stratified(train["label"], self.validation, 0.0, rng)[:2]
        return Splits(*({k: v[part] for k, v in train.items()} for part in chosen), test)


def read_folder(folder: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Training and test images and labels of IDX files."""

    def read(name: str, count: int) -> dict[str, np.ndarray]:
        images = read_idx(folder, f"{name}-images-idx3-ubyte", (count, SIDE, SIDE))
        labels = read_idx(folder, f"{name}-labels-idx1-ubyte", (count,))
        if labels.max() >= CLASSES:
            raise BadInput(f"{folder} must have labels below {CLASSES}, not {labels.max()}")
        return {"image": images[..., None], "label": labels.astype(np.int32)}

    return read("train", TRAIN), read("t10k", TEST)


def read_tfds() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Training and test images and labels as TFDS has prepared them."""
    place = os.environ.get("TFDS_DATA_DIR") or str(pathlib.Path.home() / "tensorflow_datasets")
    try:
        # No part may be empty or share an image, so the first one is put back in its place.
        whole = Tfds("fashion_mnist", place, split=("train", "test[:1]", "test[1:]")).load()
    except BadInput as wrong:
        raise BadInput(
            f"Fashion-MNIST is not in {DEBIAN} (apt-get install dataset-fashion-mnist), "
            f"no folder with its IDX files was given, and of TFDS: {wrong}"
        ) from None
    _, first, others = whole
    return dict(whole.train), {k: np.concatenate([first[k], others[k]]) for k in others}
