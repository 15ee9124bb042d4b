"""Windows of images, averaged or enlarged to another size."""

import numpy as np


def resample(
    images: np.ndarray, low: np.ndarray, high: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Brings a window of each image to another size, rows and columns apart.

    A new pixel is the mean of the old picture over the square about its middle that is as wide
    as the new pixel, and at least as wide as an old one: in each direction
    `1/r integral of x from m_i - r/2 to m_i + r/2`, `m_i = low + (i + 1/2) s`,
    `s = (high - low) / size`, `r = max(s, 1)`. So shrinking is exact averaging of areas,
    enlarging is linear interpolation between the middles of old pixels, and an image's own
    window at its own size is the image. Outside an image the picture is 0.

    Args:
      images: `[N, H, W, C]` float32.
      low: upper left corners of the windows, row and column in pixels, `[N, 2]` or `[1, 2]`; they
        may lie between pixels, and outside.
      high: lower right corners alike, beyond the upper left ones.
      size: height and width of the new images.

    Returns:
      `[N, *size, C]` float32, within the range of 0 and the old values.
    """
    planes = np.moveaxis(images, -1, 1)  # [N, C, H, W]
    rows, columns = (
        shares(low[:, axis], high[:, axis], size[axis], planes.shape[2 + axis])[:, None]
        for axis in (0, 1)
    )
    return np.moveaxis(rows @ planes @ columns.swapaxes(-1, -2), 1, -1)


def shares(low: np.ndarray, high: np.ndarray, size: int, pixels: int) -> np.ndarray:
    """How much of each new pixel is of each old one, `[N, size, pixels]` float32.

    Args:
      low: where the windows begin in one direction, `[N]`.
      high: where they end, `[N]`.
      size: new pixels in a window.
      pixels: old pixels in an image.
    """
    step = (high - low)[:, None, None] / size
    reach = np.maximum(step, 1.0)
    middle = low[:, None, None] + (np.arange(size)[:, None] + 0.5) * step
    left = np.arange(pixels)
    ends = np.minimum(middle + reach / 2, left + 1.0)
    overlap = ends - np.maximum(middle - reach / 2, left)
    return (overlap.clip(0.0) / reach).astype(np.float32)
