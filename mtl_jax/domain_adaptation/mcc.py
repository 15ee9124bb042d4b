"""Minimum class confusion: classes of the target that are guessed together are told apart."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.conditional import entropy_weights
from mtl_jax.domain_adaptation.validation import require_logits


def class_confusion(
    logits: jax.Array, *, temperature: float = 2.5, offset: float = 0.0
) -> jax.Array:
    """How much pairs of classes share probability over a batch of the target.

    `1/C sum_{c != k} M_ck / sum_j M_jk` with `M = sum_i w_i p_i p_i'`, `p_i = softmax(z_i / T)`
    and w the `entropy_weights` of `z / T`, through which no gradient flows. As probabilities sum
    to 1 it is `1/C sum_k (sum_i w_i p_ik (1 - p_ik) / sum_i w_i p_ik)`, in a time of N C.

    It is 0 if all are sure and every class is given to somebody. A class that nobody is given
    adds 1/C, so small batches of many classes have little to learn from; of one example the loss
    is always `(C - 1) / C`, with gradient 0.

    Args:
      logits: z, `[N, C]`.
      temperature: T, above 0.
      offset: that of `entropy_weights`.

    Returns:
      The loss `[]`, from 0 to `(C - 1) / C`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: Jin et al., Minimum Class Confusion for Versatile Domain Adaptation, ECCV 2020,
      Section 3 (https://arxiv.org/abs/1912.03699).
    """
    require_logits("class_confusion", logits, ndim=2)
    logits = logits / temperature
    probabilities = jax.nn.softmax(logits)
    weighted = entropy_weights(logits, offset=offset)[:, None] * probabilities
    totals = weighted.sum(0)
    # A class whose probabilities round to 0 has its limit, 1, and no gradient.
    there = totals != 0
    shared = (weighted * (1.0 - probabilities)).sum(0)
    return jnp.where(there, shared / jnp.where(there, totals, 1.0), 1.0).mean()
