"""MixMatch for numbers: images and targets are mixed, labelled and unlabelled together."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.consistency.mixed import mixed_targets
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import Apart, Mixed, View
from mtl_jax.losses import squared_error
from mtl_jax.losses.masked import known_entries, masked_mean
from mtl_jax.losses.target_type import CONTINUOUS

PARTS = ("labelled", "weak", "weak2")
GUESS = Apart(PARTS, "frozen_student")


@dataclasses.dataclass(frozen=True)
class MixMatchNumbers:
    """MixMatch of numbers: mixed images have the mixed targets.

    The targets are the labels `[B]` and, for both weak views, the mean of the model's outputs
    `[U]` for them; they are mixed as the images are, `r t_i + (1 - r) t_j` with r at least 1/2.
    The first B mixtures have the task's loss in the place of the labelled one, the other 2U the
    squared error. Nothing is sharpened: numbers have no temperature. No gradient flows into
    guesses. Any leading shape.

    A labelled image without this task's label, and of a vector of numbers what is missing, counts
    with weight 0; where it is a partner, its target is the model's own output.

    Attributes:
      alpha: of the Beta distribution that r follows.
      weight: of the mean over all U examples and both views.
      ramp: share of the training over which it grows.

    Raises:
      BadInput: for an alpha that is not above 0, a negative weight, or a ramp outside [0, 1].

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Algorithm 1
      (https://arxiv.org/abs/1905.02249); for numbers, with these settings: Huang et al., RankUp,
      NeurIPS 2024, authors' code (https://arxiv.org/abs/2410.22124).
    """

    alpha: float = 0.5
    weight: float = 0.1
    ramp: float = 0.4

    target_types = CONTINUOUS

    def __post_init__(self):
        low = (1e-6, math.inf)
        require_number(self, alpha=low, weight=(0.0, math.inf), ramp=(0.0, 1.0))

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

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[U]`, over its two views, and metrics."""
        each = by_example(squared_error(views.of(self.mixed), self.targets(views)))
        loss = each[views.mask.size :].reshape(2, -1).mean(0)
        return ramped(loss, views, self.ramp), state, {"mask_rate": jnp.ones((), loss.dtype)}

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` of the loss over the mixed labelled images."""
        size = views.mask.size
        targets = self.targets(views)[:size].reshape(views.labels.shape)
        known = known_entries(views.labels, views.mask)
        return masked_mean(loss, views.of(self.mixed)[:size], targets, known)

    def targets(self, views: Views) -> jax.Array:
        """Targets `[B + 2U, ..., D]` of the mixed images."""
        guess = jax.lax.stop_gradient(views.of(GUESS))
        own, weak = guess[: views.mask.size], guess[views.mask.size :]
        weak = weak.reshape(2, -1, *weak.shape[1:]).mean(0)
        there = known_entries(views.labels, views.mask).reshape(own.shape)
        labels = views.labels.reshape(own.shape).astype(own.dtype)
        labels = jnp.where(there, labels, own)
        return mixed_targets(jnp.concatenate([labels, weak, weak]), views, self.mixed)
