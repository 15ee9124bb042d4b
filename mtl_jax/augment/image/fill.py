"""Fill values outside the image: one value, or one for each channel."""

import jax
import jax.numpy as jnp

from mtl_jax.augment.image.validation import like
from mtl_jax.core.validation import are_numbers, require


def require_fill(policy: object) -> None:
    """Requires a field `fill` that is one number in [0, 1] or a tuple of them.

    Raises:
      BadInput: for anything else.
    """
    fill = policy.fill
    numbers = fill if isinstance(fill, tuple) else (fill,)
    fine = are_numbers(numbers) and all(0.0 <= number <= 1.0 for number in numbers)
    require(fine, policy, "fill", "must be a number in [0, 1], or a tuple of such", fill)


def fill_like(policy: object, image: jax.Array) -> jax.Array:
    """The fill of each channel `[C]` in the dtype of an image or batch.

    For uint8 it is the nearest level.

    Raises:
      ValueError: if the number of values differs from the number of channels.
    """
    fill, channels = policy.fill, image.shape[-1]
    numbers = fill if isinstance(fill, tuple) else (fill,) * channels
    if len(numbers) != channels:
        name = type(policy).__name__
        raise ValueError(f"{name}.fill has {len(numbers)} numbers, the image {channels} channels")
    # In the image's own precision, so that a float64 keeps its digits.
    dtype = jnp.float32 if image.dtype == jnp.uint8 else image.dtype
    return like(jnp.asarray(numbers, dtype), image)
