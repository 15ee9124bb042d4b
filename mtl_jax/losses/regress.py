"""Per-example losses for continuous targets."""

import jax
import jax.numpy as jnp


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error, `1/D sum_d (f_d - y_d)^2`, per example.

    A missing target (NaN) gives a NaN loss and gradient even if the loss is masked, so the
    caller must replace it by a finite value first.

    Args:
      predictions: floats `[..., D]`.
      targets: continuous targets `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, with the dtype of `predictions`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 4.0]])).tolist()
      [2.5]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if not jnp.issubdtype(predictions.dtype, jnp.floating):
        raise ValueError(f"squared_error needs floats as predictions, not {predictions.dtype}")
    single = predictions.ndim > 0 and predictions.shape[-1] == 1
    if single and targets.shape == predictions.shape[:-1]:
        targets = targets[..., None]
    if predictions.ndim == 0 or targets.shape != predictions.shape:
        raise ValueError(
            f"squared_error needs predictions [..., D] and targets [..., D], or [...] when D is 1, "
            f"not predictions {predictions.shape} and targets {targets.shape}"
        )
    return jnp.square(predictions - targets.astype(predictions.dtype)).mean(-1)
