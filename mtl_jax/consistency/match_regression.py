"""Follow an output: two views of numbers agree in squared error."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.losses import squared_error
from mtl_jax.losses.target_type import CONTINUOUS


@dataclasses.dataclass(frozen=True)
class MatchNumbers:
    """Consistency of two views of numbers: `1/D sum_d (learner_d - source_d)^2`, per example.

    No gradient flows into the source. Any leading shape: where an example has several outputs
    (pixels), its loss is their mean. The weight has the units of 1 / (loss units): numbers on
    another scale want another one.

    Attributes:
      source: the view that is followed.
      learner: the view that learns.
      weight: of the mean over all U examples; the caller multiplies by it.
      ramp: share of the training over which the loss grows linearly from 0; 0 is at once.

    Raises:
      BadInput: for a negative weight, or a ramp outside [0, 1].

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242), with outputs in the place of probabilities.
    """

    source: View = "weak"
    learner: View = "weak2"
    weight: float = 0.1
    ramp: float = 0.4

    target_types = CONTINUOUS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (self.source, self.learner)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[n]`, no state, and metrics."""
        source = jax.lax.stop_gradient(views.of(self.source))
        loss = by_example(squared_error(views.of(self.learner), source))
        return ramped(loss, views, self.ramp), state, {"mask_rate": jnp.ones((), loss.dtype)}
