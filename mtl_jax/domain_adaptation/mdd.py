"""Margin disparity discrepancy (MDD): an adversary that agrees on the source, not on the target."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number, require_widths
from mtl_jax.domain_adaptation.domain_views import BOTH
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp, reverse_gradient
from mtl_jax.domain_adaptation.validation import require_logits, require_same_shape
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.complement import log_complement


@dataclasses.dataclass(frozen=True)
class MDD(AuxiliaryLoss):
    """Margin disparity discrepancy: an adversary that agrees on the source, not on the target.

    `-margin_disparity`, with the adversary's head after a gradient reversal, in one descent step.

    Attributes:
      widths: widths of the adversary's hidden layers; TLLib uses 1024 after a bottleneck of 2048.
      margin: the paper's gamma, `exp` of its margin.
      coefficient: final coefficient of the reversal; 0.1 in TLLib.
      warm_up: schedule of its fraction over the fraction of training completed.
      weight: weight of the discrepancy.

    Raises:
      BadInput: if a width is below 1, or a number is negative.

    Reference: Zhang et al., Bridging Theory and Algorithm for Domain Adaptation, ICML 2019,
      Section 4 (https://arxiv.org/abs/1904.05801).
    """

    widths: tuple[int, ...] = (256,)
    margin: float = 4.0
    coefficient: float = 0.1
    warm_up: SigmoidWarmUp = dataclasses.field(default_factory=SigmoidWarmUp)
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        bounds = (0.0, math.inf)
        require_number(self, margin=bounds, coefficient=bounds, weight=bounds)
        require_widths(self, "widths")

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the adversary."""
        return {"adversary": AuxMLP(num_classes, self.widths)}

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the negative discrepancy `[]`, no state, and metrics."""
        features = jnp.concatenate([views.features[view] for view in BOTH])
        features = reverse_gradient(features, self.coefficient * self.warm_up(views.progress))
        source, target = (views.outputs(view) for view in BOTH)
        adversary = jnp.split(views.apply_head("adversary", features), [len(source)])
        disparity = margin_disparity(source, target, *adversary, margin=self.margin)
        return AuxUpdate(-disparity, state, {"disparity": disparity})


def margin_disparity(
    source: jax.Array,
    target: jax.Array,
    source_adversary: jax.Array,
    target_adversary: jax.Array,
    *,
    margin: float = 4.0,
    offset: float = 1e-6,
) -> jax.Array:
    """Margin disparity discrepancy of two domains, given the logits of an adversarial head.

    `mean_t log(min(1, 1 - q_y + e)) - margin mean_s(-log q_y)`, with `y = argmax z` the
    classifier's prediction and q the adversary's softmax. The adversary maximizes it, the features
    minimize it: apply `reverse_gradient` before the adversary (TLLib uses a coefficient of up to
    0.1) and minimize its negative. No gradient with respect to the classifier.

    Degenerate gradients: near `q_y = 1`, the offset makes the gradient vanish; with an offset of 0,
    the loss is unbounded and the gradient does not vanish.

    Args:
      source: logits of the classifier on the source, `[B, C]`.
      target: logits of the classifier on the target, `[U, C]`.
      source_adversary: logits of the adversary on the source, `[B, C]`.
      target_adversary: logits of the adversary on the target, `[U, C]`.
      margin: the paper's gamma, `exp` of its margin.
      offset: the offset e, at least 0.

    Returns:
      The discrepancy `[]`, at most 0.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Zhang et al., Bridging Theory and Algorithm for Domain Adaptation, ICML 2019,
      combined cross-entropy loss (https://arxiv.org/abs/1904.05801); the offset is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> logits = [jnp.zeros((4, 2))] * 4  # log(1 - 1/2) - margin log 2
      >>> round(float(jax.jit(domain_adaptation.margin_disparity)(*logits)), 3)
      -3.466
    """
    for logits, adversary in ((source, source_adversary), (target, target_adversary)):
        require_same_shape("margin_disparity", logits, adversary)
        require_logits("margin_disparity", logits, ndim=2)
    source_loss = cross_entropy(source_adversary, source.argmax(-1)).mean()
    complements = log_complement(target_adversary, target.argmax(-1))
    if offset > 0.0:
        complements = jnp.minimum(jnp.logaddexp(complements, math.log(offset)), 0.0)
    return complements.mean() - margin * source_loss
