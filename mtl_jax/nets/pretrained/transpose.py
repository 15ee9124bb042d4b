"""Conversions of arrays from other libraries: the order of their axes."""

import numpy as np


def as_is(array: np.ndarray) -> np.ndarray:
    """The array unchanged, for biases and arrays written by Flax."""
    return array


def linear(array: np.ndarray) -> np.ndarray:
    """Converts PyTorch's matrix of a linear layer `[out, in]` to Flax's `[in, out]`.

    Raises:
      ValueError: for another number of axes.
    """
    return array.transpose(1, 0)


def conv(array: np.ndarray) -> np.ndarray:
    """Converts PyTorch's kernel of a convolution `[out, in, h, w]` to Flax's `[h, w, in, out]`.

    A depthwise kernel, `[D, 1, h, w]`, becomes `[h, w, 1, D]`, for `feature_group_count=D`.

    Raises:
      ValueError: for another number of axes.
    """
    return array.transpose(2, 3, 1, 0)
