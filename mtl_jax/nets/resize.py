"""Resizing of maps."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def require_size(owner: Any) -> None:
    """Requires a field `size` that is None or `(H, W)`.

    Raises:
      BadInput: for anything else.
    """
    size = owner.size
    pair = isinstance(size, tuple) and len(size) == 2
    valid = size is None or (pair and all(type(side) is int and side >= 1 for side in size))
    require(valid, owner, "size", "must be (H, W), integers of at least 1, or None", size)


def resize(x: jax.Array, size: tuple[int, ...] | None) -> jax.Array:
    """Bilinear resizing `[N, H', W', C] -> [N, H, W, C]`; None leaves the size.

    Without a filter against aliasing, as PyTorch's `interpolate` with `align_corners=False`.
    """
    if size is None or x.shape[1:3] == tuple(size):
        return x
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "bilinear", antialias=False)


def resize_between_corners(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Bilinear resizing in which the centers of the corner pixels stay in place.

    `[N, H', W', C] -> [N, H, W, C]`, as PyTorch's `interpolate` with `align_corners=True`.
    """
    for axis, new in zip((1, 2), size, strict=True):
        kernel = corner_kernel(x.shape[axis], new).astype(x.dtype)
        x = jnp.moveaxis(jnp.tensordot(x, kernel, (axis, 0)), -1, axis)
    return x


def corner_kernel(old: int, new: int) -> jax.Array:
    """The linear interpolation from `old` pixels to `new` ones, `[old, new]`."""
    places = jnp.linspace(0.0, old - 1.0, new) if new > 1 else jnp.zeros(1)
    return jnp.maximum(
        1.0 - jnp.abs(places[None] - jnp.arange(old, dtype=places.dtype)[:, None]), 0.0
    )
