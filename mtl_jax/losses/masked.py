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
      labels: `[B, ...]`.
      mask: bool `[B]`, the examples to include (NaN entries are still excluded); or `[B, ...]`,
        the entries to include.

    Returns:
      The mean `[]`.

    Raises:
      BadInput: at trace time, if the loss returns another shape.
    """
    known = mask if mask.ndim == labels.ndim else known_entries(labels, mask)
    labels = jnp.where(known, labels, 0)
    if labels.ndim > 1 and outputs.shape == labels.shape and is_mean_of_entries(loss, outputs):
        each = loss(outputs[..., None], labels[..., None])
    else:
        each = loss(outputs, labels)
    rule = "must give a loss for each example, not reduced"
    require(each.shape in (known.shape, known.shape[:1]), "Task", "loss", rule, each.shape)
    if each.shape != known.shape:
        known = known.reshape(len(known), -1).all(1)
    each = jnp.where(known, each, 0.0)
    count = jnp.maximum(known.sum().astype(each.dtype), 1.0)
    if each.ndim > 1:
        # Counts examples, not entries: bitwise equal to the mean over examples if none is missing.
        each = each.reshape(len(each), -1).mean(1)
        count = count / (known.size / len(known))
    return each.sum() / count


def is_mean_of_entries(loss: Callable[..., jax.Array], outputs: jax.Array) -> bool:
    """Whether a loss is one of this package's losses that average over D separate entries."""
    return target_type(loss, outputs.shape[-1]) in ("binary", "multilabel", "continuous")


def known_entries(labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Mask of the known entries of labels `[B, ...]`, bool `[B, ...]`.

    Float entries are known if their example is in `mask` `[B]` and they are not NaN; integer
    entries, if their example is in the mask.
    """
    there = mask.reshape(mask.shape + (1,) * (labels.ndim - 1))
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        return jnp.broadcast_to(there, labels.shape)
    return there & ~jnp.isnan(labels)
