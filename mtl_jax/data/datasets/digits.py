"""scikit-learn's handwritten digits, one or two per image."""

import dataclasses
import functools
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require, require_choice, require_int
from mtl_jax.data.datasets.digit_placement import (
    SIDE,
    Placement,
    render,
    sample_corners,
    sample_pairs,
)
from mtl_jax.data.random_split import generator, split_sizes, stratified_split

DIGITS = 1797  # Number of images.


@dataclasses.dataclass(frozen=True)
class Digits(DataSource):
    """scikit-learn's 1797 digits, unchanged: "inputs" `[N, 8, 8, 1]` in [0, 1], "digit" `[N]`.

    The split is 60 % training and 20 % each for validation and test, stratified by class; it is
    the split of `SingleDigits` and `MultiDigits` with the same seed.

    Attributes:
      seed: seed of the split.

    Raises:
      BadInput: for a seed that is not an integer or is negative.

    Example:
      >>> from mtl_jax import data
      >>> data.Digits().shapes()["inputs"].shape
      (1078, 8, 8, 1)
    """

    seed: int = 0

    def __post_init__(self):
        require_int(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        return split_shapes(split_sizes(DIGITS, 0.2, 0.2)[0], SIDE, ("digit",))

    def load(self) -> Splits:
        """Reads and splits the digits."""
        images, labels = read_digits()
        parts = digit_parts(self.seed)
        return Splits(
            *({"inputs": images[part, ..., None], "digit": labels[part]} for part in parts)
        )


@dataclasses.dataclass(frozen=True)
class SingleDigits(DataSource):
    """One digit, at the left or the right position of `MultiDigits`; its class is "digit".

    The 1797 images are split as in `MultiDigits` with the same seed, so that a model trained on
    the training part has seen no image that is used in the test part of the other.

    Attributes:
      size: height and width of the images.
      jitter: maximum shift of a digit from its corner.
      copies: number of placements of each training image; the others are placed once.
      half: see `MultiDigits`.
      seed: seed of the split and of the positions.

    Raises:
      BadInput: as in `MultiDigits`, and for `copies` below 1.

    Example:
      >>> from mtl_jax import data
      >>> data.SingleDigits(copies=2, half=0).shapes()["inputs"].shape  # Half of the 1078 digits, twice.
      (1078, 12, 12, 1)
    """

    size: int = 12
    jitter: int = 0
    copies: int = 8
    half: Literal[0, 1] | None = None
    seed: int = 0

    def __post_init__(self):
        require_int(self, copies=1, seed=0)
        check_size(self)

    def placements(self) -> tuple[Placement, Placement, Placement]:
        """Digits and positions of train, validation and test."""

        def place(name: str, part: np.ndarray, copies: int) -> Placement:
            rng = generator(self.seed, f"single/{name}")
            index = np.repeat(part, copies)
            return Placement(
                index, sample_corners(self.size, self.jitter, rng.random(len(index)) < 0.5, rng)
            )

        train, validation, test = digit_parts(self.seed, self.half)
        return (
            place("train", train, self.copies),
            place("validation", validation, 1),
            place("test", test, 1),
        )

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        train = split_sizes(DIGITS, 0.2, 0.2)[0]
        train = train if self.half is None else split_sizes(train, 0.5, 0.0)[self.half]
        return split_shapes(train * self.copies, self.size, ("digit",))

    def load(self) -> Splits:
        """Places the digits: "inputs" `[N, size, size, 1]` and "digit" `[N]`."""
        images, labels = read_digits()
        return Splits(
            *(
                {"inputs": render(images, placement, self.size), "digit": labels[placement.index]}
                for placement in self.placements()
            )
        )


@dataclasses.dataclass(frozen=True)
class MultiDigits(DataSource):
    """Two digits of different classes per image; their classes are "left" and "right".

    Each image is the pixel-wise maximum of two placed digits. The left digit's corner is sampled
    from `{0..jitter}^2`, the right one's from `{size - 8 - jitter..size - 8}^2`. The images are
    split first, and pairs are sampled within each part.

    The papers overlay MNIST's 28 x 28 pixels at (0, 0) and (6, 6) of 36 x 36, or jittered.

    Attributes:
      train: number of training images.
      validation: number of validation images.
      test: number of test images.
      size: height and width of the images.
      jitter: maximum shift of a digit from its corner.
      half: half of the training and validation digits to use, stratified by class; None uses all.
        Sources of different halves share none of these digits, so that one can be labelled and
        the other unlabelled. All test digits are used in either case.
      seed: seed of the split, the pairs and the positions.

    Raises:
      BadInput: for an empty part, a negative seed or jitter, or a size at which left and
        right are indistinguishable.

    Reference: Sabour et al., Dynamic Routing Between Capsules, NeurIPS 2017, Section 6
      (https://arxiv.org/abs/1710.09829); as two tasks: Sener and Koltun, Multi-Task Learning
      as Multi-Objective Optimization, NeurIPS 2018, its section on MultiMNIST
      (https://arxiv.org/abs/1810.04650).

    Example:
      >>> from mtl_jax import data
      >>> shapes = data.MultiDigits(train=500, size=16).shapes()
      >>> shapes["inputs"].shape, shapes["left"].shape, shapes["right"].shape
      ((500, 16, 16, 1), (500,), (500,))
    """

    train: int = 8000
    validation: int = 1000
    test: int = 2000
    size: int = 12
    jitter: int = 0
    half: Literal[0, 1] | None = None
    seed: int = 0

    def __post_init__(self):
        require_int(self, train=1, validation=1, test=1, seed=0)
        check_size(self)

    def placements(self) -> tuple[tuple[Placement, Placement], ...]:
        """Left and right digits of train, validation and test."""
        labels = read_digits()[1]

        def place(name: str, part: np.ndarray, count: int) -> tuple[Placement, Placement]:
            rng = generator(self.seed, f"multi/{name}")
            left, right = sample_pairs(labels, part, count, rng)
            corners = [
                sample_corners(self.size, self.jitter, np.full(count, lower_right), rng)
                for lower_right in (False, True)
            ]
            return Placement(left, corners[0]), Placement(right, corners[1])

        parts = zip(Splits._fields, digit_parts(self.seed, self.half), strict=True)
        return tuple(place(name, part, getattr(self, name)) for name, part in parts)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        return split_shapes(self.train, self.size, ("left", "right"))

    def load(self) -> Splits:
        """Overlays the digits: "inputs" `[N, size, size, 1]`, "left" and "right" `[N]`."""
        images, labels = read_digits()

        def overlay(left: Placement, right: Placement) -> dict[str, np.ndarray]:
            image = np.maximum(*(render(images, digit, self.size) for digit in (left, right)))
            return {"inputs": image, "left": labels[left.index], "right": labels[right.index]}

        return Splits(*(overlay(*digits) for digits in self.placements()))


def check_size(source: SingleDigits | MultiDigits) -> None:
    """Checks that left and right are distinguishable at the size of the images."""
    require_int(source, size=SIDE, jitter=0)
    require_choice(source, half=(0, 1, None))
    min_size = SIDE + 2 * source.jitter + 1
    rule = f"must be at least {min_size} to tell left from right at jitter {source.jitter}"
    require(source.size >= min_size, source, "size", rule, source.size)


def split_shapes(count: int, size: int, labels: tuple[str, ...]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of `count` images and their labels."""
    image = jax.ShapeDtypeStruct((count, size, size, 1), np.float32)
    return {"inputs": image, **{name: jax.ShapeDtypeStruct((count,), np.int32) for name in labels}}


def digit_parts(seed: int, half: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of scikit-learn's digits in train (60 %), validation and test (20 % each).

    For a given half, train and validation contain that half of every class.
    """
    labels = read_digits()[1]
    train, validation, test = stratified_split(labels, 0.2, 0.2, generator(seed, "digits"))
    if half is None:
        return train, validation, test
    rng = generator(seed, "digits/half")
    halves = (
        part[stratified_split(labels[part], 0.5, 0.0, rng)[half]] for part in (train, validation)
    )
    return *halves, test


@functools.cache
def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1797 images `[1797, 8, 8]` in [0, 1] as float32, and their classes as int32; read-only."""
    from sklearn.datasets import load_digits  # Slow to import.

    digits = load_digits()
    images, labels = (digits.images / 16.0).astype(np.float32), digits.target.astype(np.int32)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels
