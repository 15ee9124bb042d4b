"""Mean of a loss over what is labelled: examples, or entries of vectors of labels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.losses.target_type import target_type


def masked_mean(
    loss: Callable[..., jax.Array], outputs: jax.Array, labels: jax.Array, mask: jax.Array
) -> jax.Array:
    """`sum_i m_i l_i / sum_i m_i`: the mean over what is labelled, 0 where nothing is.

    Of labels `[B, D]`, such as several yes or no or several numbers, i goes over the entries that
    are known, of all examples together; where all are, that is the mean over the examples. It is
    how graph benchmarks of partly known labels train: Hu et al., Open Graph Benchmark, NeurIPS
    2020 (https://arxiv.org/abs/2005.00687), code of ogbg-molpcba.

    `binary_cross_entropy` and `squared_error` are taken entry by entry, and so is a loss of a
    user's own that gives losses of the labels' shape. One that gives a loss for each example is
    a mean over the examples of which all entries are known. A missing label is -1 or NaN; a 0 in
    its place keeps both value and gradient finite.

    Args:
      loss: `(outputs, labels) -> [B]`, or of the labels' shape.
      outputs: floats `[B, ...]`.
      labels: `[B, ...]`.
      mask: bool `[B]`, which examples count, with those entries that are no NaN; or `[B, ...]`,
        which entries count.

    Returns:
      The mean `[]`.

    Raises:
      BadInput: for a loss of another shape, when traced.
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
        # In examples, not in entries: bitwise the mean over examples where nothing is missing.
        each = each.reshape(len(each), -1).mean(1)
        count = count / (known.size / len(known))
    return each.sum() / count


def is_mean_of_entries(loss: Callable[..., jax.Array], outputs: jax.Array) -> bool:
    """Whether a loss is one of the package that takes the mean of D entries of their own."""
    return target_type(loss, outputs.shape[-1]) in ("binary", "multilabel", "continuous")


def known_entries(labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Which entries of labels `[B, ...]` are known, bool `[B, ...]`.

    Of the examples in `mask` `[B]`, those that are no NaN; integers are known by the mask.
    """
    there = mask.reshape(mask.shape + (1,) * (labels.ndim - 1))
    if not jnp.issubdtype(labels.dtype, jnp.floating):
        return jnp.broadcast_to(there, labels.shape)
    return there & ~jnp.isnan(labels)
