"""Virtual adversarial training: the prediction shall not change in its most sensitive direction."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require, require_choice, require_count, require_number
from mtl_jax.core.views import Adversarial, Apart, View
from mtl_jax.losses import kl_divergence, soft_cross_entropy, squared_error
from mtl_jax.losses.target_type import CONTINUOUS, MULTICLASS, TargetType

CLEAN = Apart(("weak",))


@dataclasses.dataclass(frozen=True)
class VAT:
    """The model agrees with itself on images moved against it.

    `KL(p(x) || p(x + d)) + entropy * H(p(x))` per example, where d is the step of length
    `radius` that changes p the most (see `views.Adversarial`), and x the weak view. No gradient
    flows into the first p, nor through d; it does flow through H. For numbers it is the squared
    error in the place of the divergence. Both x and x + d go through the net in passes of their
    own, which leave BatchNorm's statistics alone. Any leading shape.

    Attributes:
      radius: length of d for each example, *in the units of the images*; published ones (8 in
        the authors' code, 6 in later comparisons, both for CIFAR-10) are of normalised images.
      iterations: of the power method that looks for d.
      entropy: weight of the entropy ("EntMin", 1 in the paper, 0.06 in later comparisons),
        next to the divergence; it does not grow with the ramp. 0 leaves it out.
      target_type: of the task.
      weight: of the mean over all U examples.
      ramp: share of the training over which the divergence grows linearly (0.4 in USB).

    Raises:
      BadInput: for a setting out of range, or an entropy of numbers.

    Reference: Miyato et al., Virtual Adversarial Training, TPAMI 2019, Section 3
      (https://arxiv.org/abs/1704.03976).
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
        require_count(self, iterations=1)
        require_choice(self, target_type=("multiclass", "continuous"))
        fine = self.target_type == "multiclass" or self.entropy == 0
        require(fine, self, "entropy", "must be 0 for numbers", self.entropy)

    @property
    def target_types(self) -> tuple[TargetType, ...]:
        """What it is for."""
        return CONTINUOUS if self.target_type == "continuous" else MULTICLASS

    @property
    def moved(self) -> Adversarial:
        """The view that learns."""
        return Adversarial("weak", self.radius, self.iterations, self.target_type)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (CLEAN, self.moved)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[U]`, no state, and metrics."""
        clean, moved = views.of(CLEAN), views.of(self.moved)
        fixed = jax.lax.stop_gradient(clean)
        if self.target_type == "continuous":
            apart = squared_error(moved, fixed)
        else:
            apart = kl_divergence(moved, jax.nn.softmax(fixed))
        loss = ramped(by_example(apart), views, self.ramp)
        if self.entropy > 0:
            loss += self.entropy * by_example(soft_cross_entropy(clean, jax.nn.softmax(clean)))
        return loss, state, {"mask_rate": jnp.ones((), loss.dtype)}
