"""Contrastive loss of two views."""

import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit
from mtl_jax.core.validation import require


def nt_xent(first: jax.Array, second: jax.Array, temperature: float = 0.5) -> jax.Array:
    """Normalized temperature-scaled cross-entropy of two views of each example.

    With unit vectors z of the 2N views, `l(i, j) = -log(exp(z_i z_j / t) / sum_k exp(z_i z_k / t))`
    over all k other than i; per example `(l(i, j) + l(j, i)) / 2`, where i and j are its two views.

    Reference: Chen et al., ICML 2020, equation 1 (https://arxiv.org/abs/2002.05709).

    Args:
      first: features of the first view, floats `[N, D]`.
      second: features of the second view, `[N, D]`.
      temperature: t, positive.

    Returns:
      The loss `[N]`, with the dtype of `first`.

    Raises:
      BadInput: if the temperature is not positive.
      ValueError: at trace time, if the shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> loss = losses.nt_xent(jnp.eye(2), jnp.eye(2))
      >>> [round(value, 4) for value in loss.tolist()]
      [0.2395, 0.2395]
    """
    positive = math.isfinite(temperature) and temperature > 0
    require(positive, "nt_xent", "temperature", "must be positive", temperature)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"nt_xent needs views [N, D], not {first.shape} and {second.shape}")
    views = unit(jnp.concatenate([first, second.astype(first.dtype)]))
    size = len(first)
    logits = jnp.where(jnp.eye(2 * size, dtype=bool), -jnp.inf, views @ views.T / temperature)
    pairs = (views[:size] * views[size:]).sum(-1) / temperature
    return (jax.nn.logsumexp(logits, -1) - jnp.tile(pairs, 2)).reshape(2, size).mean(0)
