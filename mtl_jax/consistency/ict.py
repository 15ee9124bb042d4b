"""Interpolation consistency: a mixture of images is predicted as the mixture of predictions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.consistency.mixed import mixed_targets
from mtl_jax.consistency.ramp_up import gaussian_ramped
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import Apart, Mixed, View
from mtl_jax.losses import probability_squared_error
from mtl_jax.losses.target_type import MULTICLASS

TEACHER = Apart(("weak",), "teacher")


@dataclasses.dataclass(frozen=True)
class ICT:
    """Interpolation consistency training.

    `1/C |softmax(f(r x_i + (1 - r) x_j)) - r p_i - (1 - r) p_j|^2` per unlabelled example i,
    with another one j, one r ~ Beta(alpha, alpha) for the batch, and p the averaged model's
    probabilities. The average is the run's `ema`; the teacher normalises by the statistics of
    its own batch, and no gradient flows into it. Any leading shape.

    The paper mixes predictions; the authors' code mixes logits. Their commands mix labelled
    images as well, which the paper's algorithm does not.

    Attributes:
      alpha: of the Beta distribution (1 on CIFAR-10, 0.1 on SVHN).
      weight: of the mean over all U examples.
      ramp: share of the training over which the loss grows along a Gaussian.

    Raises:
      BadInput: for an alpha that is not above 0, a negative weight, or a ramp outside [0, 1].

    Reference: Verma et al., Interpolation Consistency Training, IJCAI 2019, Algorithm 1
      (https://arxiv.org/abs/1903.03825).
    """

    alpha: float = 1.0
    weight: float = 100.0
    ramp: float = 0.25

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, alpha=(1e-6, math.inf), weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixed(self) -> Mixed:
        """The view that learns."""
        return Mixed(("weak",), self.alpha, own_first=False, each=False)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (TEACHER, self.mixed)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[U]`, no state, and metrics."""
        guess = jax.nn.softmax(jax.lax.stop_gradient(views.of(TEACHER)))
        targets = mixed_targets(guess, views, self.mixed)
        loss = by_example(probability_squared_error(views.of(self.mixed), targets))
        return gaussian_ramped(loss, views, self.ramp), state, {"mask_rate": jnp.ones(())}
