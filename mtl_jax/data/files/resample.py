"""Area averaging and linear interpolation of image windows."""

import numpy as np

CHUNK_SIZE = 4096  # Images at once; floats need four times the memory of bytes.


def resample(
    images: np.ndarray, low: np.ndarray, high: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Resamples a window of each image to another size, separably in rows and columns.

    A new pixel is the mean of the old image over the square around its centre that is as wide as
    the new pixel, and at least as wide as an old one: in each direction
    `1/r integral of x from m_i - r/2 to m_i + r/2`, `m_i = low + (i + 1/2) s`,
    `s = (high - low) / size`, `r = max(s, 1)`. Shrinking is thus exact area averaging, enlarging is
    linear interpolation between the centres of old pixels, and the full window of an image at its
    own size is the image. The image is 0 outside its bounds.

    Args:
      images: `[N, H, W, C]` float32.
      low: upper left corners of the windows, row and column in pixels, `[N, 2]` or `[1, 2]`; they
        may be fractional, and outside the image.
      high: lower right corners, likewise, beyond the upper left ones.
      size: height and width of the new images.

    Returns:
      `[N, *size, C]` float32, within the range of 0 and the old values.
    """
    planes = np.moveaxis(images, -1, 1)  # [N, C, H, W]
    rows, columns = (
        resampling_weights(low[:, axis], high[:, axis], size[axis], planes.shape[2 + axis])[:, None]
        for axis in (0, 1)
    )
    return np.moveaxis(rows @ planes @ columns.swapaxes(-1, -2), 1, -1)


def resampling_weights(low: np.ndarray, high: np.ndarray, size: int, pixels: int) -> np.ndarray:
    """The weight of each old pixel in each new pixel, `[N, size, pixels]` float32.

    Args:
      low: start of the windows in one direction, `[N]`.
      high: end of the windows, `[N]`.
      size: number of new pixels in a window.
      pixels: number of old pixels in an image.
    """
    step = (high - low)[:, None, None] / size
    width = np.maximum(step, 1.0)
    center = low[:, None, None] + (np.arange(size)[:, None] + 0.5) * step
    left = np.arange(pixels)
    ends = np.minimum(center + width / 2, left + 1.0)
    overlap = ends - np.maximum(center - width / 2, left)
    return (overlap.clip(0.0) / width).astype(np.float32)


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes full images `[N, H, W, C]` to `[N, *size, C]`, of the same type."""
    low, high = np.zeros((1, 2)), np.array([images.shape[1:3]], float)
    resized = np.empty((len(images), *size, images.shape[-1]), images.dtype)
    for first in range(0, len(images), CHUNK_SIZE):
        rows = slice(first, first + CHUNK_SIZE)
        floats = resample(images[rows].astype(np.float32), low, high, size)
        resized[rows] = floats if images.dtype.kind == "f" else np.rint(floats)
    return resized
