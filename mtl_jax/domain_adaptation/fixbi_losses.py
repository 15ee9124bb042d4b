"""Losses of FixBi: fixed-ratio mixup, confident and unconfident pseudo-labels, and consistency."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_floats, require_logits, require_same_shape
from mtl_jax.losses import cross_entropy, probability_squared_error
from mtl_jax.losses.complement import log_complement


def fixed_ratio_mixup_loss(
    logits: jax.Array, labels: jax.Array, pseudo_labels: jax.Array, *, ratio: float
) -> jax.Array:
    """Cross-entropy of mixed source and target images, per pair.

    `r CE(z, y) + (1 - r) CE(z, y')`, for images `r x_s + (1 - r) x_t`: r is 0.7 for one model and
    0.3 for the other in the paper's experiments. Pseudo-labels are integers, so they have no
    gradient.

    Args:
      logits: logits z of the mixed images, `[..., C]`.
      labels: labels y of the source, `[...]`.
      pseudo_labels: the model's own pseudo-labels y' of the target, `[...]`.
      ratio: r, the fraction of the source.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021, fixed ratio-based mixup (https://arxiv.org/abs/2011.09230).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.domain_adaptation import fixed_ratio_mixup_loss
      >>> logits, labels, pseudo_labels = jnp.array([[8.0, -8.0]]), jnp.array([0]), jnp.array([1])
      >>> loss = fixed_ratio_mixup_loss(logits, labels, pseudo_labels, ratio=0.75)
      >>> [round(value, 3) for value in loss.tolist()]  # 0.75 * 0 + 0.25 * 16
      [4.0]
    """
    require_logits("fixed_ratio_mixup_loss", logits)
    source_loss, target_loss = (cross_entropy(logits, y) for y in (labels, pseudo_labels))
    return ratio * source_loss + (1.0 - ratio) * target_loss


def confidence_threshold(logits: jax.Array, *, num_std: float = 2.0) -> jax.Array:
    """Threshold of confident predictions, `mean_i m_i - d std_i m_i`, `m_i = max softmax(z_i)`.

    The standard deviation divides by N - 1, as in the authors' code, and is 0 for one example. No
    gradient with respect to the logits.

    Args:
      logits: logits z of the target, `[N, C]`.
      num_std: number of standard deviations d.

    Returns:
      The threshold `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021, confidence-based learning (https://arxiv.org/abs/2011.09230).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> logits = jnp.array([[0.0, 0.0], [100.0, 0.0]])  # confidence 0.5 and 1
      >>> round(float(domain_adaptation.confidence_threshold(logits, num_std=1.0)), 3)
      0.396
    """
    require_logits("confidence_threshold", logits, ndim=2)
    confidence = jax.nn.softmax(jax.lax.stop_gradient(logits)).max(-1)
    std = confidence.std(ddof=min(1, len(confidence) - 1))
    return confidence.mean() - num_std * std


def bidirectional_matching(
    logits: jax.Array, teacher: jax.Array, threshold: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Loss of confident pseudo-labels of the other model, `1[max p >= t] CE(z, argmax p)`.

    Per example. `p = softmax(teacher)`, with respect to which there is no gradient; each model is
    the other's teacher in turn. The authors' code starts this loss and `space_consistency` after
    100 epochs and trains for 100: with its own settings they are never used.

    Args:
      logits: logits z of the target, `[..., C]`.
      teacher: logits of the same images by the other model, `[..., C]`.
      threshold: threshold t, the `confidence_threshold` of the teacher, `[]`.

    Returns:
      The loss `[...]`, and the mask `[...]` of included examples.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021, bidirectional matching (https://arxiv.org/abs/2011.09230).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.domain_adaptation import bidirectional_matching
      >>> logits, teacher = jnp.zeros((2, 2)), jnp.array([[9.0, 0.0], [0.1, 0.0]])
      >>> loss, mask = bidirectional_matching(logits, teacher, jnp.array(0.9))
      >>> [round(value, 4) for value in loss.tolist()], mask.tolist()
      ([0.6931, 0.0], [True, False])
    """
    require_same_shape("bidirectional_matching", logits, teacher)
    require_logits("bidirectional_matching", logits)
    teacher = jax.lax.stop_gradient(teacher)
    mask = jax.nn.softmax(teacher).max(-1) >= jax.lax.stop_gradient(threshold)
    return jnp.where(mask, cross_entropy(logits, teacher.argmax(-1)), 0.0), mask


def self_penalty(
    logits: jax.Array, temperature: jax.Array, threshold: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Penalty on a model's own unconfident predictions, `-1[max p < t] log(1 - softmax(z / T)_y)`.

    Per example; `p = softmax(z)` and `y = argmax z`. Gradients with respect to the logits and the
    temperature, which is learned, initially 5; it must stay positive.

    Args:
      logits: logits z of the target, `[..., C]`.
      temperature: the temperature T, `[]`.
      threshold: threshold t, the `confidence_threshold` of the same logits, `[]`.

    Returns:
      The loss `[...]`, and the mask `[...]` of included examples.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021, self-penalization (https://arxiv.org/abs/2011.09230).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> logits, threshold = jnp.array([[9.0, 0.0], [0.0, 0.0]]), jnp.array(0.9)
      >>> loss, mask = domain_adaptation.self_penalty(logits, jnp.array(5.0), threshold)
      >>> [round(value, 4) for value in loss.tolist()], mask.tolist()
      ([0.0, 0.6931], [False, True])
    """
    require_logits("self_penalty", logits)
    fixed = jax.lax.stop_gradient(logits)
    # Not `<`: NaN is included, so that it is noticed.
    mask = ~(jax.nn.softmax(fixed).max(-1) >= jax.lax.stop_gradient(threshold))
    loss = -log_complement(logits / temperature, fixed.argmax(-1))
    return jnp.where(mask, loss, 0.0), mask


def space_consistency(first: jax.Array, second: jax.Array) -> jax.Array:
    """Squared distance of the predictions of both models, `1/C sum_c (p_c - q_c)^2`, per pair.

    For images mixed from source and target with ratio 1/2. Gradients with respect to both. The
    paper's norm has no factor 1/C; the authors' code compares logits instead of probabilities.

    Args:
      first: logits of p, `[..., C]`.
      second: logits of q, `[..., C]`.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021, consistency regularization (https://arxiv.org/abs/2011.09230).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> first, second = jnp.array([[100.0, 0.0]]), jnp.array([[0.0, 100.0]])
      >>> domain_adaptation.space_consistency(first, second).tolist()
      [1.0]
    """
    require_same_shape("space_consistency", first, second)
    require_floats("space_consistency", first)
    return probability_squared_error(first, jax.nn.softmax(second))
