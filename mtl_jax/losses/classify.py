"""Per-example losses for multiclass targets."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.losses.checks import require_gamma, require_labels


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> jax.Array:
    """Softmax cross-entropy with integer labels.

    `w_y ((1 - e) H(y) + e/C sum_c H(c))` with `H(c) = logsumexp(z) - z_c`, per example, natural
    logarithm. A label outside 0..C-1 gives NaN, so a caller with missing labels (-1) must replace
    them by any class and mask the loss. With class weights, PyTorch's mean divides by the sum of
    the examples' weights; the mean over examples is another number.

    Args:
      logits: floats `[..., C]`.
      labels: integers `[...]`.
      label_smoothing: e in [0, 1], the fraction of each label that is spread over all classes:
        Szegedy et al., CVPR 2016, section 7 (https://arxiv.org/abs/1512.00567).
      class_weights: weight w_c of each class, C numbers of at least 0; None for 1.

    Returns:
      The loss `[...]`, with the dtype of `logits`.

    Raises:
      BadInput: for a setting out of its range.
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
    require_labels("cross_entropy", logits, labels)
    one_hot = is_class(labels, logits)
    log_normalizer = jax.nn.logsumexp(logits, -1)
    loss = log_normalizer - jnp.where(one_hot, logits, 0.0).sum(-1)
    if label_smoothing:
        in_range = 0 <= label_smoothing <= 1
        rule = "must be between 0 and 1"
        require(in_range, "cross_entropy", "label_smoothing", rule, label_smoothing)
        uniform = log_normalizer - logits.mean(-1)
        loss = (1 - label_smoothing) * loss + label_smoothing * uniform
    if class_weights is not None:
        weights = require_class_weights(class_weights, logits.shape[-1])
        loss = loss * jnp.where(one_hot, jnp.asarray(weights, logits.dtype), 0.0).sum(-1)
    return jnp.where(one_hot.any(-1), loss, jnp.nan)


def softmax_focal_loss(logits: jax.Array, labels: jax.Array, gamma: float = 2.0) -> jax.Array:
    """Focal loss over classes, `-(1 - p_y)^gamma log p_y` with `p = softmax(z)`, per example.

    With gamma 0 it is the cross-entropy. A label outside 0..C-1 gives NaN.

    Reference: Lin et al., ICCV 2017, equation 4 (https://arxiv.org/abs/1708.02002).

    Args:
      logits: floats `[..., C]`.
      labels: integers `[...]`.
      gamma: how much less well-classified examples count, at least 0.

    Returns:
      The loss `[...]`, with the dtype of `logits`.

    Raises:
      BadInput: for a negative gamma.
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> loss = losses.softmax_focal_loss(jnp.array([[0.0, 0.0]]), jnp.array([1]))
      >>> round(float(loss[0]), 4)
      0.1733
    """
    require_gamma("softmax_focal_loss", gamma)
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    require_labels("softmax_focal_loss", logits, labels)
    loss = cross_entropy(logits, labels)
    # 1 - p_y; no power of 0 is differentiated.
    complement = -jnp.expm1(-loss)
    positive = complement > 0
    factor = jnp.where(positive, jnp.where(positive, complement, 1.0) ** gamma, float(gamma == 0))
    return factor * loss


def is_class(labels: jax.Array, logits: jax.Array) -> jax.Array:
    """One-hot labels, bool `[..., C]`, by comparison: its backward pass has no scatter."""
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    return classes == labels.astype(jnp.int32)[..., None]


def require_class_weights(class_weights: Sequence[float], num_classes: int) -> tuple[float, ...]:
    """Requires one finite weight of at least 0 for each class."""
    weights = tuple(map(float, class_weights))
    fine = len(weights) == num_classes and all(math.isfinite(w) and w >= 0 for w in weights)
    rule = f"must be {num_classes} numbers of at least 0, one a class"
    require(fine, "cross_entropy", "class_weights", rule, class_weights)
    return weights
