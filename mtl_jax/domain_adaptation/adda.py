"""Adversarial discriminative adaptation (ADDA): the target model imitates source features."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.domain_adaptation.dann import domain_adversarial
from mtl_jax.domain_adaptation.discriminator import domain_accuracy, require_hidden_widths
from mtl_jax.domain_adaptation.domain_views import SOURCE, TARGET
from mtl_jax.domain_adaptation.reversal import reverse_gradient

# The source images as encoded by the source model (`init_from`).
SOURCE_VIEW = SeparatePass((SOURCE,), model="source")


@dataclasses.dataclass(frozen=True)
class ADDA(AuxiliaryLoss):
    """Adversarial discriminative domain adaptation: the target model imitates source features.

    The run starts from a model trained on the source, including its head
    (`param_map=transfer.HEADS`), and its `param_rules` freeze the head
    (`ParamRule("tasks/heads/digit/(kernel|bias)", frozen=True)`; the discriminator's parameters are
    nested below it). The loss is `domain_adversarial(D(f0_s), D(R(f_t)))`: f0 is the fixed source
    model (`init_from`), f the trained model, which sees only the target. Labels are not used.

    Attributes:
      widths: widths of the discriminator's hidden layers; the paper uses two of 500.
      coefficient: coefficient of the gradient reversal.
      weight: weight of the loss.

    Raises:
      BadInput: if a width is below 1, or a number is negative.

    Reference: Tzeng et al., Adversarial Discriminative Domain Adaptation, CVPR 2017, Section 4, Eq.
      9 (https://arxiv.org/abs/1702.05464); in the paper, the target model minimizes the loss with
      swapped domain labels; here it maximizes the discriminator's loss, as in TLLib.

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> target, source = domain_adaptation.ADDA((256,)).views
      >>> target, source.views, source.model  # The run needs a source model, `init_from`.
      ('weak', ('labelled',), 'source')
    """

    widths: tuple[int, ...] = (1024, 1024)
    coefficient: float = 1.0
    weight: float = 1.0

    target_types = ALL_TYPES
    per_position = False
    views = (TARGET, SOURCE_VIEW)

    def __post_init__(self):
        require_number(self, coefficient=(0.0, math.inf), weight=(0.0, math.inf))
        require_hidden_widths(self)

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the discriminator."""
        return {"domain": AuxMLP(1, self.widths)}

    def labelled_loss(
        self, views: AuxInputs, loss: Callable[..., jax.Array], state: tuple
    ) -> jax.Array:
        """Returns zero, `[]`, since labels are not used."""
        return jnp.zeros(())

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the loss `[]`, no state, and metrics."""
        source = views.apply_head("domain", views.features[view_key(SOURCE_VIEW)])[:, 0]
        reversed_features = reverse_gradient(views.features[TARGET], self.coefficient)
        target = views.apply_head("domain", reversed_features)[:, 0]
        loss = domain_adversarial(source, target)
        return AuxUpdate(loss, state, {"domain_accuracy": domain_accuracy(source, target)})
