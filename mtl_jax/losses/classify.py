"""Per-example losses for multiclass targets."""

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy with integer labels.

    `logsumexp(z) - z_y`, per example, natural logarithm. A label outside 0..C-1 gives NaN,
    so a caller with missing labels (-1) must replace them by any class and mask the loss.

    Args:
      logits: floats `[..., C]`.
      labels: integers `[...]`.

    Returns:
      The loss `[...]`, with the dtype of `logits`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
      >>> loss = losses.cross_entropy(logits, jnp.array([0, 1]))
      >>> [round(value, 2) for value in loss.tolist()]
      [0.24, 2.24]
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
        raise ValueError(f"cross_entropy needs integers as labels, not {labels.dtype}")
    # Comparison instead of a gather: its backward pass has no scatter.
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    one_hot = classes == labels.astype(jnp.int32)[..., None]
    loss = jax.nn.logsumexp(logits, -1) - jnp.where(one_hot, logits, 0.0).sum(-1)
    return jnp.where(one_hot.any(-1), loss, jnp.nan)
