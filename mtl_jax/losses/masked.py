"""Losses of the labelled examples or label entries, and their mean."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.losses.target_type import target_type


def masked_mean(
    loss: Callable[..., jax.Array], outputs: Any, labels: jax.Array, mask: jax.Array
) -> jax.Array:
    """Masked mean `sum_i m_i l_i / sum_i m_i` of a loss; 0 if nothing is labelled.

    For labels `[B, D]` (multilabel or multi-output regression), i runs over the known entries of
    all examples; if all entries are known, this equals the mean over examples. Graph benchmarks
    with partially missing labels are trained this way: Hu et al., Open Graph Benchmark, NeurIPS
    2020 (https://arxiv.org/abs/2005.00687), code of ogbg-molpcba.

    `binary_cross_entropy` and the losses of numbers are applied per entry, and so is a user-defined
    loss that returns losses of the labels' shape. A loss that returns one value per example, or per
    position of labels `[B, ..., D]`, is averaged over those whose entries are all known. Missing
    labels (-1 or NaN) are replaced by 0, which keeps both the value and the gradient finite.

    A loss of whole maps or sequences of classes, such as `dice_loss` and `ctc_loss`, receives
    their missing entries as negative classes, and is averaged over the examples with a known one.

    Args:
      loss: `(outputs, labels) -> [B]`, or of the labels' shape.
      outputs: floats `[B, ..., C]`, or a dict of arrays that the loss takes.
      labels: `[B, ...]`; in a map of classes, negative where missing.
      mask: bool `[B]`, the examples to include (NaN entries are still excluded); or `[B, ...]`,
        the entries to include.

    Returns:
      The mean `[]`.

    Raises:
      BadInput: at trace time, if the loss returns another shape.
    """
    losses, known = masked_losses(loss, outputs, labels, mask)
    count = jnp.maximum(known.sum().astype(losses.dtype), 1.0)
    if losses.ndim > 1:
        # Counts examples, not entries: bitwise equal to the mean over examples if none is missing.
        losses = losses.reshape(len(losses), -1).mean(1)
        count = count / (known.size / len(known))
    return losses.sum() / count


def masked_losses(
    loss: Callable[..., jax.Array], outputs: Any, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The losses that `masked_mean` averages, 0 where they are not known, and the known ones.

    Args:
      loss: as for `masked_mean`, and so are the others.
      outputs: floats `[B, ..., C]`, or a dict.
      labels: `[B, ...]`.
      mask: bool `[B]` or `[B, ...]`.

    Returns:
      Losses and their mask, both `[B]` or `[B, ...]`.

    Raises:
      BadInput: at trace time, if the loss returns another shape.
    """
    outputs, labels = jax.tree.map(jnp.asarray, (outputs, labels))
    mask = mask if mask.ndim == labels.ndim else known_entries(labels, mask)
    if is_of_wholes(loss, outputs, labels):
        labels, mask = jnp.where(mask, labels, -1), mask.reshape(len(mask), -1).any(1)
    else:
        labels = jnp.where(mask, labels, 0)
    if is_mean_of_entries(loss, outputs, labels):
        losses = loss(outputs[..., None], labels[..., None])
    else:
        losses = loss(outputs, labels)
    rule = "must give a loss for each example, or each position of its labels, not reduced"
    shapes = (mask.shape[:1], mask.shape[:-1], mask.shape)
    require(losses.shape in shapes and losses.ndim > 0, "Task", "loss", rule, losses.shape)
    mask = mask.reshape(*losses.shape, -1).all(-1)
    return jnp.where(mask, losses, 0.0), mask


def is_mean_of_entries(loss: Callable[..., jax.Array], outputs: Any, labels: jax.Array) -> bool:
    """Whether a loss is one of this package's that average over D separate entries of a label."""
    if labels.ndim == 1 or not isinstance(outputs, jax.Array) or outputs.shape != labels.shape:
        return False
    return target_type(loss, outputs.shape[-1]) in ("binary", "multilabel", "continuous")


def is_of_wholes(loss: Callable[..., jax.Array], outputs: Any, labels: jax.Array) -> bool:
    """Whether a loss returns one value for each map or sequence of classes."""
    if labels.ndim == 1 or jnp.issubdtype(labels.dtype, jnp.floating):
        return False
    return len(jax.eval_shape(loss, outputs, labels).shape) == 1


def known_entries(labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Mask of the known entries of labels `[B, ...]`, bool `[B, ...]`.

    Entries are known if their example is in `mask` `[B]` and they are not missing: floats are not
    NaN, and integers of a map or sequence not negative.
    """
    mask = mask.reshape(mask.shape + (1,) * (labels.ndim - 1))
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        return mask & (labels >= 0) if labels.ndim > 1 else mask
    return mask & ~jnp.isnan(labels)
