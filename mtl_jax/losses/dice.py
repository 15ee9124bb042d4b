"""Dice loss of segmentations."""

import jax
import jax.numpy as jnp

from mtl_jax.losses.checks import require_labels
from mtl_jax.losses.classify import is_class


def dice_loss(
    logits: jax.Array, labels: jax.Array, *, squared: bool = False, smooth: float = 1e-5
) -> jax.Array:
    """Dice loss per image, from sums over its labelled pixels.

    `1 - 1/C sum_c (2 sum_i p_ic y_ic + s) / (sum_i p_ic^k + sum_i y_ic + s)` with
    `p = softmax(z)`, one-hot labels y and k = 1, or k = 2 if `squared`, as in the paper. A pixel
    with a negative label is not labelled; an image without labelled pixels has loss 0 and no
    gradient. Several images as one, as some codes take a batch: reshape them to one leading
    dimension of 1.

    Reference: Milletari et al., 3DV 2016, section 3 (https://arxiv.org/abs/1606.04797).

    Args:
      logits: floats `[B, ..., C]`.
      labels: integers `[B, ...]`, below C; negative where missing.
      squared: whether the probabilities in the denominator are squared.
      smooth: s, which keeps the quotient of absent classes finite.

    Returns:
      The loss `[B]`, with the dtype of `logits`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> logits = jnp.array([[[9.0, -9.0], [-9.0, 9.0]]])
      >>> round(float(losses.dice_loss(logits, jnp.array([[0, 1]]))[0]), 4)
      0.0
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    require_labels("dice_loss", logits, labels)
    known = (labels >= 0)[..., None]
    targets = (is_class(labels, logits) & known).astype(logits.dtype)
    probs = jnp.where(known, jax.nn.softmax(logits), 0.0)
    pixels = tuple(range(1, logits.ndim - 1))
    overlap = (probs * targets).sum(pixels)
    size = (jnp.square(probs) if squared else probs).sum(pixels) + targets.sum(pixels)
    return 1.0 - ((2.0 * overlap + smooth) / (size + smooth)).mean(-1)
