"""Margin disparity discrepancy: an adversary agrees on the source and disagrees on the target."""

import math

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_alike, require_logits
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.complement import log_complement


def margin_disparity(
    source: jax.Array,
    target: jax.Array,
    source_adversary: jax.Array,
    target_adversary: jax.Array,
    *,
    margin: float = 4.0,
    offset: float = 1e-6,
) -> jax.Array:
    """Discrepancy that an adversarial head finds between two domains.

    `mean_t log(min(1, 1 - q_y + e)) - margin mean_s(-log q_y)`, `y = argmax z` the classifier's
    class and q the adversary's softmax. The adversary goes up it, the features down: put
    `reverse` before the adversary (TLLib with a coefficient of up to 0.1) and descend its
    negative. No gradient flows into the classifier.

    Near `q_y = 1` the offset lets the gradient vanish; with 0 there is no bound, and the
    gradient stays.

    Args:
      source: logits of the classifier on the source, `[B, C]`.
      target: those on the target, `[U, C]`.
      source_adversary: logits of the adversary on the source, `[B, C]`.
      target_adversary: those on the target, `[U, C]`.
      margin: the paper's gamma, `exp` of its margin.
      offset: e, at least 0.

    Returns:
      The discrepancy `[]`, at most 0.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: Zhang et al., Bridging Theory and Algorithm for Domain Adaptation, ICML 2019,
      combined cross-entropy loss (https://arxiv.org/abs/1904.05801); the offset is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    for logits, adversary in ((source, source_adversary), (target, target_adversary)):
        require_alike("margin_disparity", logits, adversary)
        require_logits("margin_disparity", logits, ndim=2)
    agreed = cross_entropy(source_adversary, source.argmax(-1)).mean()
    apart = log_complement(target_adversary, target.argmax(-1))
    if offset > 0.0:
        apart = jnp.minimum(jnp.logaddexp(apart, math.log(offset)), 0.0)
    return apart.mean() - margin * agreed
