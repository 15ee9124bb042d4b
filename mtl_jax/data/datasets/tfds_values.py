"""Values of scalar features of TensorFlow Datasets."""

from typing import Any

import numpy as np


def is_scalar(kind: Any) -> bool:
    """Whether a TFDS feature is a scalar number or boolean."""
    return kind.shape == () and np.dtype(kind.np_dtype).kind in "biuf"


def fits_int32(values: list) -> bool:
    """Whether values contain no integer outside the range of int32."""
    array, bounds = np.asarray(values), np.iinfo(np.int32)
    return array.dtype.kind == "f" or (bounds.min <= array.min() and array.max() <= bounds.max)


def stack(values: list | np.ndarray) -> np.ndarray:
    """Stacks images as uint8, integers and booleans as int32, other numbers as float32."""
    array = np.asarray(values)
    if array.ndim > 1:
        return array
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
