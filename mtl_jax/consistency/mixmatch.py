"""MixMatch: labels and sharpened guesses are mixed together with their images."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mixed import labelled_part, labels_or, mixed_targets
from mtl_jax.consistency.prediction import Guess
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.consistency.target import Soft
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import Apart, Mixed, View
from mtl_jax.losses import probability_squared_error
from mtl_jax.losses.target_type import MULTICLASS

PARTS = ("labelled", "weak", "weak2")
GUESS = Apart(PARTS, "frozen_student")


@dataclasses.dataclass(frozen=True)
class MixMatch:
    """All images of the batch are mixed with each other, and so are their targets.

    The guess about an unlabelled image is `s((p(weak) + p(weak2)) / 2)` for both its views,
    with the sharpening `s(q)_c = q_c^(1/T) / sum_j q_j^(1/T)`. Of labelled and unlabelled
    images together, each is mixed with a random other one, `r >= 1/2` its own share. A mixed
    labelled image has the cross-entropy with its mixed target (the partner's part of which may
    be a guess), mixed unlabelled ones the squared error, `1/C |softmax - t|^2`. No gradient
    flows into guesses. Logits are `[n, C]`.

    A labelled image without this task's label counts with weight 0; where it is a partner, its
    target is its own sharpened guess. Guesses come from one pass over the whole batch as it is
    before mixing, which leaves BatchNorm's statistics alone; the authors' code has a pass for
    each view.

    Attributes:
      temperature: T.
      alpha: of the Beta distribution of r.
      weight: of the mean over all U examples and both views (75 is for CIFAR-10).
      ramp: share of the training over which the unlabelled loss grows linearly.

    Raises:
      BadInput: for a temperature or alpha that is not above 0, a negative weight, or a ramp
        outside [0, 1].

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Algorithm 1
      (https://arxiv.org/abs/1905.02249).
    """

    temperature: float = 0.5
    alpha: float = 0.75
    weight: float = 75.0
    ramp: float = 1 / 64

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), alpha=(1e-6, math.inf))
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixed(self) -> Mixed:
        """The view that learns."""
        return Mixed(PARTS, self.alpha)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (GUESS, self.mixed)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def targets(self, views: Views) -> jax.Array:
        """Targets `[B + 2U, C]` of the mixed images."""
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.of(GUESS)))
        own, first, second = jnp.split(plain, ends(views, plain.shape[0]))
        # Of logarithms, since that is what is sharpened: log((e^a + e^b) / 2).
        mean = jnp.logaddexp(first, second) - math.log(2.0)
        sharp = Soft(self.temperature)
        labelled = labels_or(views, sharp(Guess(own, own)))
        guess = sharp(Guess(mean, mean))
        return mixed_targets(jnp.concatenate([labelled, guess, guess]), views, self.mixed)

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[U]`, over its two views, and metrics."""
        each = probability_squared_error(views.of(self.mixed), self.targets(views))
        loss = each[views.mask.shape[0] :].reshape(2, -1).mean(0)
        return ramped(loss, views, self.ramp), state, {"mask_rate": jnp.ones((), loss.dtype)}

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` cross-entropy of the mixed labelled images; the task's own loss has no say."""
        return labelled_part(views, views.of(self.mixed), self.targets(views))


def ends(views: Views, total: int) -> tuple[int, int]:
    """Where the labelled part and the first unlabelled one of `B + 2U` images end."""
    labelled = views.mask.shape[0]
    return labelled, labelled + (total - labelled) // 2
