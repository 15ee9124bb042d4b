"""VAT: the prediction should not change in its most sensitive direction."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import CONTINUOUS, MULTICLASS, TargetType
from mtl_jax.core.validation import require, require_choice, require_int, require_number
from mtl_jax.core.views import AdversarialView, SeparatePass, View
from mtl_jax.losses import kl_divergence, soft_cross_entropy, squared_error

CLEAN = SeparatePass(("weak",))


@dataclasses.dataclass(frozen=True)
class VAT(AuxiliaryLoss):
    """Penalizes the change of the prediction under an adversarial perturbation.

    `KL(p(x) || p(x + d)) + entropy * H(p(x))` per example, where d is the step of norm `radius`
    that changes p the most (see `views.AdversarialView`), and x the weak view. No gradient with
    respect to the first p, nor through d; H is differentiated. For continuous targets the squared
    error replaces the divergence. Both x and x + d pass through the model in separate passes,
    which leave BatchNorm's statistics unchanged. Any leading shape.

    Attributes:
      radius: norm of d for each example, *in the units of the images*; published values (8 in
        the authors' code, 6 in later comparisons, both for CIFAR-10) are for normalized images.
      iterations: of the power method that estimates d.
      entropy: weight of the entropy ("EntMin", 1 in the paper, 0.06 in later comparisons),
        relative to the divergence; it does not grow with the ramp. 0 disables it.
      target_type: of the task.
      weight: of the mean over all U examples.
      ramp: fraction of training over which the divergence grows linearly (0.4 in USB).

    Raises:
      BadInput: for a setting out of range, or an entropy with continuous targets.

    Reference: Miyato et al., Virtual Adversarial Training, TPAMI 2019, Section 3
      (https://arxiv.org/abs/1704.03976).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.VAT(radius=8.0, target_type="continuous")
      >>> method.target_types, method.adversarial.radius
      (('continuous',), 8.0)
    """

    radius: float = 6.0
    iterations: int = 1
    entropy: float = 0.0
    target_type: Literal["multiclass", "continuous"] = "multiclass"
    weight: float = 1.0
    ramp: float = 0.0

    def __post_init__(self):
        require_number(self, radius=(0.0, math.inf), entropy=(0.0, math.inf))
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))
        require_int(self, iterations=1)
        require_choice(self, target_type=("multiclass", "continuous"))
        valid = self.target_type == "multiclass" or self.entropy == 0
        require(valid, self, "entropy", "must be 0 for numbers", self.entropy)

    @property
    def target_types(self) -> tuple[TargetType, ...]:
        """Target types that the method supports."""
        return CONTINUOUS if self.target_type == "continuous" else MULTICLASS

    @property
    def adversarial(self) -> AdversarialView:
        """The adversarial view, which is trained."""
        return AdversarialView("weak", self.radius, self.iterations, self.target_type)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (CLEAN, self.adversarial)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, no state and metrics."""
        clean, adversarial = views.outputs(CLEAN), views.outputs(self.adversarial)
        target = jax.lax.stop_gradient(clean)
        if self.target_type == "continuous":
            divergence = squared_error(adversarial, target)
        else:
            divergence = kl_divergence(adversarial, jax.nn.softmax(target))
        loss = linear_ramp_up(per_example_mean(divergence), views, self.ramp)
        if self.entropy > 0:
            loss += self.entropy * per_example_mean(
                soft_cross_entropy(clean, jax.nn.softmax(clean))
            )
        return AuxUpdate(loss, state, {"mask_rate": jnp.ones((), loss.dtype)})
