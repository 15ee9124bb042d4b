"""Fill values outside the image: one value, or one for each channel."""

from typing import Protocol

import jax
import jax.numpy as jnp

from mtl_jax.augment.image.validation import like
from mtl_jax.core.validation import are_numbers, require


class HasFill(Protocol):
    """A policy with a fill value."""

    @property
    def fill(self) -> float | tuple[float, ...]:
        """Value outside the image, in [0, 1]; or one for each channel."""


def require_fill(policy: HasFill) -> None:
    """Requires a field `fill` that is one number in [0, 1] or a tuple of them.

    Raises:
      BadInput: for anything else.
    """
    fill = policy.fill
    values = fill if isinstance(fill, tuple) else (fill,)
    valid = are_numbers(values) and all(0.0 <= value <= 1.0 for value in values)
    require(valid, policy, "fill", "must be a number in [0, 1], or a tuple of such", fill)


def fill_like(policy: HasFill, image: jax.Array) -> jax.Array:
    """The fill of each channel `[C]` in the dtype of an image or batch.

    For uint8 it is the nearest level.

    Raises:
      ValueError: if the number of values differs from the number of channels.
    """
    fill, channels = policy.fill, image.shape[-1]
    values = fill if isinstance(fill, tuple) else (fill,) * channels
    if len(values) != channels:
        name = type(policy).__name__
        raise ValueError(f"{name}.fill has {len(values)} numbers, the image {channels} channels")
    # In the image's own precision, so that a float64 keeps its digits.
    dtype = jnp.float32 if image.dtype == jnp.uint8 else image.dtype
    return like(jnp.asarray(values, dtype), image)
