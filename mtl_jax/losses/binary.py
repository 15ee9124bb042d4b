"""Per-example losses for binary targets."""

import jax
import jax.numpy as jnp


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Binary cross-entropy of D independent outputs, `1/D sum_d softplus(z_d) - y_d z_d`.

    Natural logarithm; targets may lie between 0 and 1. A missing target (NaN) gives a NaN loss
    and gradient even if the loss is masked, so the caller must replace it by a finite value first.

    Args:
      logits: floats `[..., D]`.
      targets: values in [0, 1], `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, with the dtype of `logits`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> logits, targets = jnp.array([[0.0, 2.0], [-2.0, 0.0]]), jnp.ones((2, 2))
      >>> loss = losses.binary_cross_entropy(logits, targets)
      >>> [round(value, 2) for value in loss.tolist()]
      [0.41, 1.41]
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
