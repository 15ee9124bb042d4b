"""MatchRegression: two views of a regression task agree in squared error."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import CONTINUOUS
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.losses import squared_error


@dataclasses.dataclass(frozen=True)
class MatchRegression(AuxiliaryLoss):
    """Consistency of two views for regression, per example.

    `1/D sum_d (student_view_d - target_view_d)^2`. No gradient with respect to the target view.
    Any leading shape: where an example has several outputs (pixels), its loss is their mean. The
    weight has the units of 1 / (loss units): targets on another scale require another weight.

    Attributes:
      target_view: view that provides the targets.
      student_view: view that is trained on them.
      weight: of the mean over all U examples; the caller multiplies by it.
      ramp: fraction of training over which the loss grows linearly from 0; 0 disables it.

    Raises:
      BadInput: for a negative weight, or a ramp outside [0, 1].

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242), with outputs instead of probabilities.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.MatchRegression(student_view="strong").views
      ('weak', 'strong')
    """

    target_view: View = "weak"
    student_view: View = "weak2"
    weight: float = 0.1
    ramp: float = 0.4

    target_types = CONTINUOUS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (self.target_view, self.student_view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[n]`, no state and metrics."""
        targets = jax.lax.stop_gradient(views.outputs(self.target_view))
        loss = per_example_mean(squared_error(views.outputs(self.student_view), targets))
        return AuxUpdate(
            linear_ramp_up(loss, views, self.ramp),
            state,
            {"mask_rate": jnp.ones((), loss.dtype)},
        )
