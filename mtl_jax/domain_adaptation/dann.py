"""Domain-adversarial training (DANN): features that a domain discriminator cannot distinguish."""

import dataclasses

import jax

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.domain_adaptation.discriminator import (
    check_settings,
    domain_accuracy,
    domain_logits,
    spectral_loss,
)
from mtl_jax.domain_adaptation.domain_views import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp
from mtl_jax.domain_adaptation.validation import require_floats


@dataclasses.dataclass(frozen=True)
class DANN(AuxiliaryLoss):
    """Domain-adversarial training: features that a domain discriminator cannot distinguish.

    `domain_adversarial(D(R(f_s)), D(R(f_t)))`, where R reverses gradients with a coefficient that
    increases over training: a single descent step trains D to distinguish the domains, and the
    trunk to confuse it. D has no BatchNorm, as in the paper and unlike TLLib.

    Attributes:
      widths: widths of the discriminator's hidden layers; TLLib uses two of 1024.
      warm_up: schedule of the coefficient over the fraction of training completed.
      spectral: weight of BSP's `spectral_penalty` of both batches of features; 2e-4 in TLLib where
        it is used; 0 disables it.
      weight: weight of the total loss.

    Raises:
      BadInput: if a width is below 1, or a weight is negative.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      Section 4.2 (https://arxiv.org/abs/1505.07818); Chen et al., Transferability vs.
      Discriminability: Batch Spectral Penalization, ICML 2019
      (https://proceedings.mlr.press/v97/chen19i.html).

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> domain_adaptation.DANN((256,), spectral=2e-4).aux_heads(num_classes=10)
      {'domain': AuxMLP(outputs=1, widths=(256,), input_multiple=1, input_size=None)}
    """

    widths: tuple[int, ...] = (1024, 1024)
    warm_up: SigmoidWarmUp = dataclasses.field(default_factory=SigmoidWarmUp)
    spectral: float = 0.0
    weight: float = 1.0

    target_types = ALL_TYPES
    per_position = False
    views = BOTH

    def __post_init__(self):
        check_settings(self)

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the discriminator."""
        return {"domain": AuxMLP(1, self.widths)}

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the loss `[]`, no state, and metrics."""
        inputs = (views.features[SOURCE], views.features[TARGET])
        source, target = domain_logits(views, inputs, self.warm_up(views.progress))
        loss = domain_adversarial(source, target) + spectral_loss(self, views)
        return AuxUpdate(loss, state, {"domain_accuracy": domain_accuracy(source, target)})


def domain_adversarial(source: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy of a domain discriminator, with weight 1/2 for each domain.

    `1/2 (mean softplus(-d_s) + mean softplus(d_t))`: the source is class 1, the target class 0. The
    discriminator minimizes it and features maximize it, by `reverse_gradient` before the
    discriminator. At `d = 0`, the domains are not distinguished and the loss is log 2. Gradients
    with respect to both.

    Args:
      source: logits of the discriminator for the source, `[B, ...]`.
      target: logits of the discriminator for the target, `[U, ...]`.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if the arrays are not floats or are empty (when traced).

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016, Section
      4.2 (https://arxiv.org/abs/1505.07818); weights of 1/2 as in TLLib
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> loss = domain_adaptation.domain_adversarial(jnp.zeros(4), jnp.zeros(2))
      >>> round(float(loss), 4)  # log 2: the domains are not distinguished
      0.6931
    """
    require_floats("domain_adversarial", source, target)
    if not source.size or not target.size:
        raise ValueError(
            f"domain_adversarial needs at least one example of each domain, "
            f"not source {source.shape} and target {target.shape}"
        )
    return 0.5 * (jax.nn.softplus(-source).mean() + jax.nn.softplus(target).mean())
