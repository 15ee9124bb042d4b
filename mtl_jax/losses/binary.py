"""Per-example losses for binary targets."""

import jax
import optax

from mtl_jax.core.validation import require
from mtl_jax.losses.checks import match_targets, require_gamma


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
    logits, targets = match_targets("binary_cross_entropy", "logits", logits, targets)
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
    require_gamma("sigmoid_focal_loss", gamma)
    logits, targets = match_targets("sigmoid_focal_loss", "logits", logits, targets)
    losses = optax.losses.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return losses.mean(-1)
