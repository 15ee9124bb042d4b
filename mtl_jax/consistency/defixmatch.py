"""DeFixMatch: what FixMatch adds for unlabelled images is taken off for labelled ones."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import Threshold
from mtl_jax.consistency.match import Match, MatchState
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS


@dataclasses.dataclass(frozen=True)
class DeFixMatch:
    """FixMatch whose risk is unbiased, whether guesses are right or wrong.

    `L = 1/2 (CE_weak + CE_strong) + weight (mean_u h_u - mean_l h_l)`, where h is FixMatch's
    loss of an image, `1[max q >= threshold] H(argmax q, strong)` with the guess q on its weak
    view. Labelled and unlabelled images have the same distribution, so the difference is 0 in
    the mean and L estimates the supervised risk without bias, for any weight; the weight
    decides about the variance. The labelled loss counts the strong view half, and with it the
    paper halves FixMatch's weight. The unlabelled loss may be negative.

    The mean over l is of the labelled images that have this task's label; a batch without any
    has no unlabelled loss, since nothing would take its bias away. No gradient flows into the
    weak views of h.

    Attributes:
      threshold: confidence at which a guess counts.
      weight: of the difference.

    Raises:
      BadInput: for a threshold outside [0, 1], or a negative weight.

    Reference: Schmutz, Humbert and Mattei, Don't Fear the Unlabelled: Safe Semi-Supervised
      Learning via Debiasing, ICLR 2023, DeSSL and its experiments with FixMatch
      (https://arxiv.org/abs/2203.07512).
    """

    threshold: float = 0.95
    weight: float = 0.5

    target_types = MULTICLASS
    views = ("labelled", "labelled_strong", "weak", "strong")

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), weight=(0.0, math.inf))

    def match(self, source: str, learner: str) -> Match:
        """FixMatch's loss h of a pair of views."""
        return Match(mask=Threshold(self.threshold), source=source, learner=learner)

    def init(self, sizes: Sizes) -> MatchState:
        """State before the first step: none."""
        return self.match("weak", "strong").init(sizes)

    def update(self, views: Views, state: MatchState) -> tuple[jax.Array, MatchState, dict]:
        """Maps views to `h_u - mean_l h_l` `[U]`, no state, and metrics."""
        loss, state, metrics = self.match("weak", "strong").update(views, state)
        each, _, labelled = self.match("labelled", "labelled_strong").update(views, state)
        count = views.mask.sum().astype(each.dtype)
        anti = jnp.where(views.mask, each, 0.0).sum() / jnp.maximum(count, 1.0)
        metrics = {**metrics, "labelled_mask_rate": labelled["mask_rate"]}
        return jnp.where(views.mask.any(), loss - anti, 0.0), state, metrics

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` of the loss over labelled examples and over their two views."""
        means = (
            masked_mean(loss, views.of(view), views.labels, views.mask)
            for view in ("labelled", "labelled_strong")
        )
        return sum(means) / 2.0
