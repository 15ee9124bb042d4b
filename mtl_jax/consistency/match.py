"""Follow a guess: the targets of one view for another, put together of four parts."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import Unaligned
from mtl_jax.consistency.divergence import CrossEntropy
from mtl_jax.consistency.mask import Everything
from mtl_jax.consistency.parts import Align, Divergence, Mask, Target, Term
from mtl_jax.consistency.prediction import Guess
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.consistency.target import Hard
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.losses.target_type import MULTICLASS

# What the parts are unless told otherwise.
UNALIGNED, HARD, EVERYTHING, CROSS_ENTROPY = Unaligned(), Hard(), Everything(), CrossEntropy()


class MatchState(NamedTuple):
    """What the parts of a method keep."""

    align: Any
    mask: Any
    terms: tuple


@dataclasses.dataclass(frozen=True)
class Match:
    """Consistency of two views of classes, as most papers have it.

    `m(q) D(t(q), learner)` with `q = align(softmax(source))`, per example: q is aligned, masked
    by m, turned into a target by t, and the learner is held to it by the divergence D. No
    gradient flows into the source, the state or the mask. Any leading shape: where an example
    has several outputs (pixels), the loss of the example is their mean.

    Attributes:
      align: `Unaligned`, `Alignment` or `QueueAlignment`.
      target: `Hard` or `Soft`.
      mask: `Everything`, `Threshold`, `Relative`, `ClassStatus`, `SelfAdaptive` or
        `TruncatedGaussian`.
      divergence: `CrossEntropy`, `KLDivergence` or `SquaredError`.
      terms: of the whole batch, such as `Fairness`; each is added, times its weight, to every
        example, so that the mean over the batch has it once.
      source: the view that is guessed about.
      learner: the view that learns.
      weight: of the mean over all U examples; the caller multiplies by it.
      ramp: share of the training over which the loss grows linearly from 0; 0 is at once.

    Raises:
      BadInput: for a negative weight, or a ramp outside [0, 1].
    """

    align: Align = UNALIGNED
    target: Target = HARD
    mask: Mask = EVERYTHING
    divergence: Divergence = CROSS_ENTROPY
    terms: tuple[Term, ...] = ()
    source: View = "weak"
    learner: View = "strong"
    weight: float = 1.0
    ramp: float = 0.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (self.source, self.learner)

    def init(self, sizes: Sizes) -> MatchState:
        """State before the first step: that of its parts."""
        terms = tuple(term.init(sizes) for term in self.terms)
        return MatchState(self.align.init(sizes), self.mask.init(sizes), terms)

    def update(self, views: Views, state: MatchState) -> tuple[jax.Array, MatchState, dict]:
        """Maps views to a loss for each example `[n]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        guess, align = self.guess(views, state)
        weights, mask, metrics = self.mask.update(guess, views, state.mask)
        logits = views.of(self.learner)
        each = self.divergence(logits, self.target(guess))
        weights = weights.astype(each.dtype)
        loss = by_example(jnp.where(weights > 0, weights * each, 0.0))
        terms = []
        for term, before in zip(self.terms, state.terms, strict=True):
            value, after = term.update(guess, logits, weights, before)
            loss = loss + term.weight * value
            terms.append(after)
            metrics = {**metrics, term.name: value}
        metrics = {"mask_rate": weights.mean(), **metrics}
        return ramped(loss, views, self.ramp), MatchState(align, mask, tuple(terms)), metrics

    def guess(self, views: Views, state: MatchState) -> tuple[Guess, Any]:
        """What the source view is guessed to be, and the next state of the alignment."""
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.of(self.source)))
        aligned, align = self.align.update(plain, views, state.align)
        return Guess(plain, aligned), align


def by_example(losses: jax.Array) -> jax.Array:
    """Mean over all but the first axis, `[n]`."""
    return losses.reshape(losses.shape[0], -1).mean(1)
