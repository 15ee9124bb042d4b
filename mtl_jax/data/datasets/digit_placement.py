"""Placement of scikit-learn's digits in larger images."""

from typing import NamedTuple

import numpy as np

SIDE = 8  # Height and width of a digit in pixels.


class Placement(NamedTuple):
    """Digits and their positions: indices into scikit-learn's 1797 images, and their corners."""

    index: np.ndarray  # [N]
    offset: np.ndarray  # [N, 2], row and column of the upper left pixel


def sample_corners(
    size: int, jitter: int, lower_right: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Positions `[N, 2]` near the upper left or, where `lower_right` `[N]`, lower right corner.

    Args:
      size: height and width of the image.
      jitter: maximum shift from the corner.
      lower_right: which digits are near the lower right corner, `[N]`.
      rng: random generator.
    """
    shift = rng.integers(jitter + 1, size=(len(lower_right), 2))
    return np.where(lower_right[:, None], size - SIDE - shift, shift)


def sample_pairs(
    labels: np.ndarray, part: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Samples `count` pairs of images of a part, uniformly among those of two different classes."""
    left, right = rng.choice(part, size=(2, count))
    while (same := labels[left] == labels[right]).any():
        left[same], right[same] = rng.choice(part, size=(2, same.sum()))
    return left, right


def render(images: np.ndarray, placement: Placement, size: int) -> np.ndarray:
    """Places each digit on a separate black image, `[N, size, size, 1]`."""
    rendered = np.zeros((len(placement.index), size, size, 1), np.float32)
    rows, columns = placement.offset[:, :, None].swapaxes(0, 1) + np.arange(SIDE)
    examples = np.arange(len(rendered))[:, None, None]
    rendered[examples, rows[:, :, None], columns[:, None, :], 0] = images[placement.index]
    return rendered
