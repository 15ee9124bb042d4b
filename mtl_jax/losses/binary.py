"""Per-example losses for binary targets."""

import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.validation import require


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
    logits, targets = aligned_targets("binary_cross_entropy", logits, targets)
    return (jax.nn.softplus(logits) - targets * logits).mean(-1)


def sigmoid_focal_loss(
    logits: jax.Array, targets: jax.Array, alpha: float | None = 0.25, gamma: float = 2.0
) -> jax.Array:
    """Focal loss of D independent outputs, per example.

    `1/D sum_d -a_d (1 - q_d)^gamma log q_d`, where `q_d` is the probability of the target:
    `sigmoid(z_d)` for 1 and `1 - sigmoid(z_d)` for 0, and `a_d` is alpha or `1 - alpha`. For
    targets in between, the cross-entropy, `1 - q_d` and `a_d` are interpolated linearly, as in
    torchvision. Missing targets as in `binary_cross_entropy`.

    Reference: Lin et al., ICCV 2017, equation 5 (https://arxiv.org/abs/1708.02002).

    Args:
      logits: floats `[..., D]`.
      targets: values in [0, 1], `[..., D]`, or `[...]` when D is 1.
      alpha: weight of the positive class in [0, 1]; None for weight 1 of both.
      gamma: how much less well-classified examples count, at least 0.

    Returns:
      The loss `[...]`, with the dtype of `logits`.

    Raises:
      BadInput: for a setting out of its range.
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> loss = losses.sigmoid_focal_loss(jnp.array([[0.0]]), jnp.array([[1.0]]))
      >>> round(float(loss[0]), 4)
      0.0433
    """
    in_range = alpha is None or 0 <= alpha <= 1
    require(in_range, "sigmoid_focal_loss", "alpha", "must be between 0 and 1, or None", alpha)
    valid = math.isfinite(gamma) and gamma >= 0
    require(valid, "sigmoid_focal_loss", "gamma", "must be at least 0", gamma)
    logits, targets = aligned_targets("sigmoid_focal_loss", logits, targets)
    losses = optax.losses.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return losses.mean(-1)


def aligned_targets(
    name: str, logits: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Logits and targets as floats `[..., D]`; targets may be `[...]` when D is 1.

    Raises:
      ValueError: at trace time, naming the loss, if shapes or dtypes do not match.
    """
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{name} needs floats as logits, not {logits.dtype}")
    single = logits.ndim > 0 and logits.shape[-1] == 1
    if single and targets.shape == logits.shape[:-1]:
        targets = targets[..., None]
    if logits.ndim == 0 or targets.shape != logits.shape:
        raise ValueError(
            f"{name} needs logits [..., D] and targets [..., D], or [...] when D is 1, "
            f"not logits {logits.shape} and targets {targets.shape}"
        )
    return logits, targets.astype(logits.dtype)
