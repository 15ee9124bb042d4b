"""Conditional adversarial adaptation (CDAN): a discriminator conditioned on predictions."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_int
from mtl_jax.domain_adaptation.cdan_losses import (
    conditional_adversarial,
    conditional_map,
    entropy_weights,
    random_conditional_map,
    random_matrices,
)
from mtl_jax.domain_adaptation.discriminator import (
    check_settings,
    domain_accuracy,
    domain_logits,
    spectral_loss,
)
from mtl_jax.domain_adaptation.domain_views import BOTH
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp


@dataclasses.dataclass(frozen=True)
class CDAN(AuxiliaryLoss):
    """Conditional adversarial adaptation: a discriminator of features times class probabilities.

    Like `DANN`, with `conditional_map(f, z)` or `random_conditional_map` instead of f; with
    `entropy`, examples are weighted by their certainty (CDAN+E). No gradient with respect to the
    logits.

    Attributes:
      widths: widths of the discriminator's hidden layers.
      warm_up: schedule of the coefficient over the fraction of training completed.
      entropy: whether to give confident examples more weight.
      randomized_dim: width of the random map; None uses all products.
      spectral: weight of BSP's `spectral_penalty` of both batches of features.
      weight: weight of the total loss.

    Raises:
      BadInput: if a width is below 1, or a weight is negative.

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018
      (https://arxiv.org/abs/1705.10667).

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> for width in (None, 256):  # all 10 D products of 10 classes and D features, or 256
      ...     method = domain_adaptation.CDAN((64,), entropy=True, randomized_dim=width)
      ...     print(method.aux_heads(num_classes=10)["domain"])
      AuxMLP(outputs=1, widths=(64,), input_multiple=10, input_size=None)
      AuxMLP(outputs=1, widths=(64,), input_multiple=10, input_size=256)
    """

    widths: tuple[int, ...] = (1024, 1024)
    warm_up: SigmoidWarmUp = dataclasses.field(default_factory=SigmoidWarmUp)
    entropy: bool = False
    randomized_dim: int | None = None
    spectral: float = 0.0
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        check_settings(self)
        if self.randomized_dim is not None:
            require_int(self, randomized_dim=1)

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the discriminator."""
        return {
            "domain": AuxMLP(
                1, self.widths, input_multiple=num_classes, input_size=self.randomized_dim
            )
        }

    def discriminator_inputs(self, features: jax.Array, logits: jax.Array) -> jax.Array:
        """Returns the inputs of the discriminator."""
        if self.randomized_dim is None:
            return conditional_map(features, logits)
        # The same matrices at every step and in every run: they are not trained.
        sizes = features.shape[-1], logits.shape[-1], self.randomized_dim
        matrices = random_matrices(jax.random.key(0), *sizes, dtype=features.dtype)
        return random_conditional_map(features, logits, matrices)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the loss `[]`, no state, and metrics."""
        inputs = [
            self.discriminator_inputs(views.features[view], views.outputs(view)) for view in BOTH
        ]
        source, target = domain_logits(views, inputs, self.warm_up(views.progress))
        weights = jnp.ones(len(source) + len(target))
        if self.entropy:
            weights = entropy_weights(jnp.concatenate([views.outputs(view) for view in BOTH]))
        source_weights, target_weights = jnp.split(weights, [len(source)])
        loss = conditional_adversarial(source, target, source_weights, target_weights)
        loss = loss + spectral_loss(self, views)
        return AuxUpdate(loss, state, {"domain_accuracy": domain_accuracy(source, target)})
