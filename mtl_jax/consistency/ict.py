"""Interpolation consistency: predictions for a mixture match the mixture of predictions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.consistency.mixed import mixed_targets
from mtl_jax.consistency.ramp_up import gaussian_ramp_up
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import MixedView, SeparatePass, View
from mtl_jax.losses import probability_squared_error

TEACHER = SeparatePass(("weak",), "teacher")


@dataclasses.dataclass(frozen=True)
class ICT(AuxiliaryLoss):
    """Interpolation consistency training.

    `1/C |softmax(f(r x_i + (1 - r) x_j)) - r p_i - (1 - r) p_j|^2` per unlabelled example i,
    with another example j, one r ~ Beta(alpha, alpha) per batch, and p the probabilities of the
    averaged model (`Evaluation.ema_decay`). The teacher normalizes by the statistics of its own
    batch; no gradient with respect to it. Any leading shape.

    The paper mixes predictions; the authors' code mixes logits. Their commands mix labelled
    images as well, which the paper's algorithm does not.

    Attributes:
      alpha: of the Beta distribution (1 on CIFAR-10, 0.1 on SVHN).
      weight: of the mean over all U examples.
      ramp: fraction of training over which the loss grows along a Gaussian.

    Raises:
      BadInput: for an alpha that is not above 0, a negative weight, or a ramp outside [0, 1].

    Reference: Verma et al., Interpolation Consistency Training, IJCAI 2019, Algorithm 1
      (https://arxiv.org/abs/1903.03825).

    Example:
      >>> from mtl_jax import consistency
      >>> target_view, mixed_view = consistency.ICT(alpha=0.1).views
      >>> target_view.model, mixed_view.alpha
      ('teacher', 0.1)
    """

    alpha: float = 1.0
    weight: float = 100.0
    ramp: float = 0.25

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, alpha=(1e-6, math.inf), weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixed_view(self) -> MixedView:
        """The mixed view, which is trained."""
        return MixedView(("weak",), self.alpha, keep_dominant=False, per_example=False)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (TEACHER, self.mixed_view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, no state and metrics."""
        probs = jax.nn.softmax(jax.lax.stop_gradient(views.outputs(TEACHER)))
        targets = mixed_targets(probs, views, self.mixed_view)
        loss = per_example_mean(probability_squared_error(views.outputs(self.mixed_view), targets))
        return AuxUpdate(
            gaussian_ramp_up(loss, views, self.ramp), state, {"mask_rate": jnp.ones(())}
        )
