"""Numerically stable log-probability of the complement of a class."""

import jax
import jax.numpy as jnp


def log_complement(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`log(1 - softmax(z)_y)`, computed as the log-probability of all other classes.

    `logsumexp_{c != y} z_c - logsumexp_c z_c`: finite, with gradients of at most 1, even where
    `1 - p` rounds to 0.

    Args:
      logits: floats `[..., C]`, C at least 2.
      labels: integers `[...]`.

    Returns:
      The log-probability `[...]`, at most 0.
    """
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    one_hot = classes == labels.astype(jnp.int32)[..., None]
    return jax.nn.logsumexp(logits, -1, where=~one_hot) - jax.nn.logsumexp(logits, -1)
