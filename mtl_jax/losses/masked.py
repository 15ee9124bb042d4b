"""Mean of a loss over the examples that have a label."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def masked_mean(
    loss: Callable[..., jax.Array], outputs: jax.Array, labels: jax.Array, mask: jax.Array
) -> jax.Array:
    """`sum_i m_i l_i / max(1, sum_i m_i)`: the mean over what is labelled, 0 where nothing is.

    A missing label is -1 or NaN; a 0 in its place keeps both value and gradient finite.

    Args:
      loss: `(outputs, labels) -> [B]`.
      outputs: floats `[B, ...]`.
      labels: `[B, ...]`.
      mask: whether each example has its label, bool `[B]`.

    Returns:
      The mean `[]`.
    """
    labels = jnp.where(mask.reshape(mask.shape + (1,) * (labels.ndim - 1)), labels, 0)
    each = jnp.where(mask, loss(outputs, labels), 0.0)
    return each.sum() / jnp.maximum(mask.sum().astype(each.dtype), 1.0)
