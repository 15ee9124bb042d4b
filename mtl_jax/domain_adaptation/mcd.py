"""Maximum classifier discrepancy: where two classifiers on one trunk disagree on the target."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_alike, require_logits


def classifier_discrepancy(first: jax.Array, second: jax.Array) -> jax.Array:
    """How far two classifiers are apart, `1/C sum_c |p_c - q_c|`, per example.

    A step of the method is three descents: trunk and both classifiers on the labelled source;
    the classifiers alone on that minus the discrepancy of the target; the trunk alone on the
    discrepancy, four times. Gradients flow into both, and are 0 where they agree.

    Args:
      first: logits of p, `[..., C]`.
      second: logits of q, `[..., C]`.

    Returns:
      The loss `[...]`, from 0 to 2/C.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation,
      CVPR 2018, discrepancy loss (https://arxiv.org/abs/1712.02560).
    """
    require_alike("classifier_discrepancy", first, second)
    require_logits("classifier_discrepancy", first)
    return jnp.abs(jax.nn.softmax(first) - jax.nn.softmax(second)).mean(-1)


def class_balance(logits: jax.Array) -> jax.Array:
    """Keeps a batch from being given one class, `-1/C sum_c log(1/N sum_i p_ic)`.

    It is least, log C, if all classes have the same share. It is computed from logarithms, so
    that a class without any share stays finite. Gradients flow.

    Args:
      logits: of p, `[N, C]`.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation,
      CVPR 2018, class balance loss (https://arxiv.org/abs/1712.02560); with a mean over
      classes and a weight of 0.01 as TLLib (https://github.com/thuml/Transfer-Learning-Library).
    """
    require_logits("class_balance", logits, ndim=2)
    shares = jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - jnp.log(float(len(logits)))
    return -shares.mean()
