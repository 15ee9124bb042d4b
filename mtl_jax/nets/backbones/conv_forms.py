"""Convolutions in forms that a CPU computes or differentiates faster."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

Convolution = Callable[[jax.Array, jax.Array], jax.Array]  # Of images and kernel.


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


def partwise_convolution(
    native: Convolution, count: int, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    """The convolution of `count` parts of the batch, one after the other."""
    return jnp.concatenate([native(part, kernel) for part in jnp.array_split(x, count)])


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
