"""Losses for yes or no, per example."""

import jax
import jax.numpy as jnp


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross-entropy of D independent logistic outputs, `1/D sum_d softplus(z_d) - y_d z_d`.

    Natural logarithm; targets may lie between 0 and 1. A missing target (NaN) gives a NaN loss
    and gradient even below a mask, so a caller puts any number in its place first.

    Args:
      logits: floats `[..., D]`.
      targets: numbers from 0 to 1 `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, of the dtype of `logits`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.
    """
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"binary_cross_entropy needs floats as logits, not {logits.dtype}")
    single = logits.ndim > 0 and logits.shape[-1] == 1
    if single and targets.shape == logits.shape[:-1]:
        targets = targets[..., None]
    if logits.ndim == 0 or targets.shape != logits.shape:
        raise ValueError(
            f"binary_cross_entropy needs logits [..., D] and targets [..., D], or [...] when D "
            f"is 1, not logits {logits.shape} and targets {targets.shape}"
        )
    return (jax.nn.softplus(logits) - targets.astype(logits.dtype) * logits).mean(-1)
