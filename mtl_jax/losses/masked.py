"""Mean of a loss over the labelled examples or label entries."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.losses.target_type import target_type


def masked_mean(
    loss: Callable[..., jax.Array], outputs: jax.Array, labels: jax.Array, mask: jax.Array
) -> jax.Array:
    """Masked mean `sum_i m_i l_i / sum_i m_i` of a loss; 0 if nothing is labelled.

    For labels `[B, D]` (multilabel or multi-output regression), i runs over the known entries of
    all examples; if all entries are known, this equals the mean over examples. Graph benchmarks
    with partially missing labels are trained this way: Hu et al., Open Graph Benchmark, NeurIPS
    2020 (https://arxiv.org/abs/2005.00687), code of ogbg-molpcba.

    `binary_cross_entropy` and `squared_error` are applied per entry, and so is a user-defined
    loss that returns losses of the labels' shape. A loss that returns one value per example is
    averaged over the examples whose entries are all known. Missing labels (-1 or NaN) are
    replaced by 0, which keeps both the value and the gradient finite.

    Args:
      loss: `(outputs, labels) -> [B]`, or of the labels' shape.
      outputs: floats `[B, ...]`.
      labels: `[B, ...]`; in a map of classes, negative where missing.
      mask: bool `[B]`, the examples to include (NaN entries are still excluded); or `[B, ...]`,
        the entries to include.

    Returns:
      The mean `[]`.

    Raises:
      BadInput: at trace time, if the loss returns another shape.
    """
    mask = mask if mask.ndim == labels.ndim else known_entries(labels, mask)
    if labels.ndim > 1 and outputs.ndim == labels.ndim + 1:
        mask = mask & (labels >= 0)  # Classes of pixels.
    labels = jnp.where(mask, labels, 0)
    if labels.ndim > 1 and outputs.shape == labels.shape and is_mean_of_entries(loss, outputs):
        losses = loss(outputs[..., None], labels[..., None])
    else:
        losses = loss(outputs, labels)
    rule = "must give a loss for each example, not reduced"
    require(losses.shape in (mask.shape, mask.shape[:1]), "Task", "loss", rule, losses.shape)
    if losses.shape != mask.shape:
        mask = mask.reshape(len(mask), -1).all(1)
    losses = jnp.where(mask, losses, 0.0)
    count = jnp.maximum(mask.sum().astype(losses.dtype), 1.0)
    if losses.ndim > 1:
        # Counts examples, not entries: bitwise equal to the mean over examples if none is missing.
        losses = losses.reshape(len(losses), -1).mean(1)
        count = count / (mask.size / len(mask))
    return losses.sum() / count


def is_mean_of_entries(loss: Callable[..., jax.Array], outputs: jax.Array) -> bool:
    """Whether a loss is one of this package's losses that average over D separate entries."""
    return target_type(loss, outputs.shape[-1]) in ("binary", "multilabel", "continuous")


def known_entries(labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Mask of the known entries of labels `[B, ...]`, bool `[B, ...]`.

    Float entries are known if their example is in `mask` `[B]` and they are not NaN; integer
    entries, if their example is in the mask.
    """
    mask = mask.reshape(mask.shape + (1,) * (labels.ndim - 1))
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        return jnp.broadcast_to(mask, labels.shape)
    return mask & ~jnp.isnan(labels)
