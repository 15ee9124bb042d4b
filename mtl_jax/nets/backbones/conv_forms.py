"""Convolutions as products of matrices or sums of shifted products, which a CPU does faster."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Window(NamedTuple):
    """How a kernel moves over images, each along H and W."""

    sizes: Sequence[int]
    strides: Sequence[int]
    pads: Sequence[tuple[int, int]]
    rates: Sequence[int]

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Height and width of the output for images `(H, W)`."""
        return tuple(
            (length + sum(pad) - rate * (kernel_size - 1) - 1) // stride + 1
            for length, pad, rate, kernel_size, stride in zip(
                size, self.pads, self.rates, self.sizes, self.strides, strict=True
            )
        )


def column_convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The convolution as a product of matrices, from a copy of every window."""
    taps = jnp.stack(window_pixels(x, window), 3)
    product = taps.reshape(-1, math.prod(kernel.shape[:3])) @ kernel.reshape(-1, kernel.shape[3])
    return product.reshape(*taps.shape[:3], -1)


def row_convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The convolution with stride 1 as a product of matrices, from fewer copies of the images.

    The columns of a window are concatenated in w copies of the image, the product has h w
    images, and the rows of a window are summed: `y[i, j] = sum_a z_a[i + a, j]` with `z_a[i, j]
    = sum_b x[i, j + b] k[a, b]`. Transposed, that is w copies of the image times h copies of the
    gradient, fewer than the usual h w.
    """
    (height, width), channels, features = window.sizes, *kernel.shape[2:]
    out_height, out_width = window.output_size(x.shape[1:3])
    (top, _), (left, _) = window.pads
    shifts = [shift(x, 2, left - window.rates[1] * b, out_width) for b in range(width)]
    taps = jnp.stack(shifts, 3).reshape(-1, width * channels)
    inner = kernel.transpose(1, 2, 0, 3).reshape(width * channels, height * features)
    rows = (taps @ inner).reshape(*x.shape[:2], out_width, height, features)
    # The transpose of a split is one copy, that of slices is a sum of padded arrays.
    rows = [row.squeeze(3) for row in jax.lax.split(rows, [1] * height, 3)]
    rows = [shift(row, 1, top - window.rates[0] * a, out_height) for a, row in enumerate(rows)]
    return sum(rows[1:], rows[0])


def shift(x: jax.Array, axis: int, offset: int, size: int) -> jax.Array:
    """An image shifted along an axis, cropped or zero-padded to a size."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (offset, size - x.shape[axis] - offset, 0)
    return jax.lax.pad(x, jnp.zeros((), x.dtype), pads)


def depthwise_convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The convolution of every channel with its own kernel `[h, w, 1, C]`, as a sum over pixels."""
    taps = window_pixels(x, window)
    products = [
        tap * each[None, None]
        for tap, each in zip(taps, kernel.reshape(-1, 1, x.shape[-1]), strict=True)
    ]
    return sum(products[1:], products[0])


def window_pixels(x: jax.Array, window: Window) -> list[jax.Array]:
    """The images `[N, H', W', C]` of the pixels of all windows that meet each of the kernel."""
    rows, columns = window.output_size(x.shape[1:3])
    x = jnp.pad(x, ((0, 0), *window.pads, (0, 0)))
    (height, width), (down, right), strides = window.sizes, window.rates, window.strides
    return [
        slice_axis(slice_axis(x, 1, down * a, rows, strides[0]), 2, right * b, columns, strides[1])
        for a in range(height)
        for b in range(width)
    ]


def slice_axis(x: jax.Array, axis: int, start: int, count: int, stride: int) -> jax.Array:
    """`count` slices of an axis from `start`, with a stride."""
    return jax.lax.slice_in_dim(x, start, start + stride * (count - 1) + 1, stride, axis)
