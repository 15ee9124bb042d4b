"""Overlays of two images: MultiMNIST, Multi-Fashion, and Fashion with MNIST."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_choice, require_int
from mtl_jax.data.random_split import generator

SIDE, COMPOSED_SIDE = 28, 36  # Height and width of the images, and of two composed images.
MAX_OFFSET = COMPOSED_SIDE - SIDE  # Largest offset of the lower right image.
STEP = 6  # Offset of the right image in "mgda".
JITTER = 4  # Maximum shift of an image from its corner in "pareto".
# Pillow's nearest neighbours of 28 pixels among 36: the pixel at each new pixel's centre.
NEAREST = (2 * np.arange(SIDE) + 1) * COMPOSED_SIDE // (2 * SIDE)

Part = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Overlay(DataSource):
    """Overlays an upper left and a lower right image; classifying each of them is a task.

    "inputs" is uint8 `[N, 28, 28, 1]` ("mgda") or `[N, 36, 36, 1]` ("pareto"), the labels are
    int32 `[N]`. Images are overlaid within each part, so no image is used in two parts. Every
    image of the left source is used once before any is used twice.

    "mgda", as in the authors' loader: corners (0, 0) and (6, 6) of 36 x 36, pixel-wise maximum,
    then 28 x 28 by nearest neighbours. The right image is sampled from the whole part, including
    the same class and the same image. Their `imresize` also rescaled the intensities of each image
    to 0..255, which changes few images and is omitted.

    "pareto": 36 x 36, corners sampled from `{0..4}^2` and `{4..8}^2`, sum of the pixels, clipped
    at 255; if both sources are the same, the two classes are different. Pareto MTL distributes
    ready-made data that follow CapsNet, where each image is shifted by up to 4 pixels; the sum and
    the different classes are those of CapsNet's code. That code shifts both images over all of
    `{0..8}^2`, which would make left and right indistinguishable.

    Attributes:
      left: source of the upper left images, "inputs" `[N, 28, 28, 1]` uint8 and "label".
      right: source of the lower right images; the same for MultiMNIST and Multi-Fashion.
      construction: overlay method, "mgda" or "pareto".
      train: number of training images; the papers have 60,000 and 120,000.
      validation: number of validation images; the papers have none.
      test: number of test images; the papers have 10,000 and 20,000.
      labels: names of the two labels.
      seed: seed of the pairs and the positions.

    Raises:
      BadInput: for a value that is not a data source, an unknown construction, an empty part, a
        negative seed or a number of names other than two; and from `load` for a source without such
        images and labels, or, for "pareto" of one source, with a part of one class only.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Section 4.1 (https://arxiv.org/abs/1810.04650); Lin et al., Pareto Multi-Task
      Learning, NeurIPS 2019, its section on MultiMNIST (https://arxiv.org/abs/1912.12854); Sabour
      et al., Dynamic Routing Between Capsules, NeurIPS 2017, Section 6
      (https://arxiv.org/abs/1710.09829).

    Example:
      >>> from mtl_jax import data
      >>> fashion = data.FashionMNIST()
      >>> data.Overlay(fashion, fashion, construction="pareto").shapes()["inputs"].shape
      (60000, 36, 36, 1)
    """

    left: DataSource
    right: DataSource
    construction: Literal["mgda", "pareto"] = "mgda"
    train: int = 60_000
    validation: int = 6_000
    test: int = 10_000
    labels: tuple[str, str] = ("left", "right")
    seed: int = 0

    def __post_init__(self):
        for field in ("left", "right"):
            value = getattr(self, field)
            valid = isinstance(value, DataSource)
            require(valid, self, field, "must be a source such as data.FashionMNIST()", value)
        require_choice(self, construction=("mgda", "pareto"))
        require_int(self, train=1, validation=1, test=1, seed=0)
        valid = isinstance(self.labels, tuple) and len({*self.labels, "inputs"}) == 3
        require(valid, self, "labels", "must be two different names", self.labels)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        side = SIDE if self.construction == "mgda" else COMPOSED_SIDE
        label = jax.ShapeDtypeStruct((self.train,), np.int32)
        image = jax.ShapeDtypeStruct((self.train, side, side, 1), np.uint8)
        return {"inputs": image, **dict.fromkeys(self.labels, label)}

    def load(self) -> Splits:
        """Reads the sources and overlays their images."""
        left = self.left.load()
        right = left if self.right == self.left else self.right.load()
        parts = zip(Splits._fields, left, right, strict=True)
        return Splits(*(self.compose(*part) for part in parts))

    def compose(self, name: str, left: Part, right: Part) -> dict[str, np.ndarray]:
        """Composes one part from the same parts of the sources."""
        for field, part in (("left", left), ("right", right)):
            check_images(f"{field}'s {name} part", part)
        rng = generator(self.seed, f"overlay/{name}")
        first, second = self.sample_pairs(left["label"], right["label"], getattr(self, name), rng)
        images = left["inputs"][first, ..., 0], right["inputs"][second, ..., 0]
        mgda = self.construction == "mgda"
        image = overlay_mgda(*images) if mgda else overlay_pareto(*images, rng)
        labels = (left["label"][first], right["label"][second])
        named = zip(self.labels, labels, strict=True)
        return {"inputs": image[..., None], **{k: v.astype(np.int32) for k, v in named}}

    def sample_pairs(
        self, left: np.ndarray, right: np.ndarray, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Indices `[count]` into the left and the right source's part, given their labels."""
        first = np.concatenate(
            [rng.permutation(len(left)) for _ in range(-(-count // len(left)))]
        )[:count]  # fmt: skip
        second = rng.integers(len(right), size=count)
        if self.construction == "mgda" or self.left != self.right:
            return first, second
        if len(np.unique(left)) < 2:
            raise BadInput(f"Overlay needs two classes in each part, not {np.unique(left)}")
        while (same := left[first] == right[second]).any():
            second[same] = rng.integers(len(right), size=same.sum())
        return first, second


def overlay_mgda(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Overlays images `[N, 28, 28]` at (0, 0) and (6, 6), resized to `[N, 28, 28]`."""
    composed = np.zeros((len(left), COMPOSED_SIDE, COMPOSED_SIDE), np.uint8)
    composed[:, :SIDE, :SIDE] = left
    window = composed[:, STEP : STEP + SIDE, STEP : STEP + SIDE]
    np.maximum(window, right, out=window)
    return composed[:, NEAREST[:, None], NEAREST]


def overlay_pareto(left: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overlays images `[N, 28, 28]` near their corners, `[N, 36, 36]`."""
    composed = np.zeros((len(left), COMPOSED_SIDE, COMPOSED_SIDE), np.uint8)
    examples = np.arange(len(left))[:, None, None]

    def sample_window(low: int) -> tuple[np.ndarray, ...]:
        corner = rng.integers(low, low + JITTER + 1, size=(2, len(left), 1))
        rows, columns = corner + np.arange(SIDE)
        return examples, rows[:, :, None], columns[:, None, :]

    composed[sample_window(0)] = left
    window = sample_window(MAX_OFFSET - JITTER)
    base = composed[window]
    composed[window] = base + np.minimum(right, 255 - base)  # Avoids uint8 overflow.
    return composed


def check_images(where: str, part: Part) -> None:
    """Checks for grayscale images of 28 x 28 bytes, and for their labels."""
    complete = {"inputs", "label"} <= part.keys()
    require(complete, "Overlay", where, 'must have an "inputs" and a "label"', sorted(part))
    image = part["inputs"]
    actual = f"{image.dtype} {list(image.shape)}"
    valid = image.dtype == np.uint8 and image.shape[1:] == (SIDE, SIDE, 1) and len(image) > 0
    rule = f"must have images uint8 [N, {SIDE}, {SIDE}, 1], at least one"
    require(valid, "Overlay", where, rule, actual)
