"""Losses for classes, per example."""

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of the softmax with a class.

    `logsumexp(z) - z_y`, per example, natural logarithm. A label outside 0..C-1 gives NaN,
    so a caller with missing labels (-1) puts any class in their place and masks the loss.

    Args:
      logits: floats `[..., C]`.
      labels: whole numbers `[...]`.

    Returns:
      The loss `[...]`, of the dtype of `logits`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy needs logits [..., C] and labels [...], "
            f"not logits {logits.shape} and labels {labels.shape}"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"cross_entropy needs floats as logits, not {logits.dtype}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"cross_entropy needs whole numbers as labels, not {labels.dtype}")
    # A comparison instead of a gather: its backward pass has no scatter.
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    hit = classes == labels.astype(jnp.int32)[..., None]
    loss = jax.nn.logsumexp(logits, -1) - jnp.where(hit, logits, 0.0).sum(-1)
    return jnp.where(hit.any(-1), loss, jnp.nan)
