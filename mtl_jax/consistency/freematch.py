"""FreeMatch: the confidence that counts follows what the model has learnt, class by class."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.checks import require, require_number
from mtl_jax.losses import cross_entropy
from mtl_jax.protocols import Views
from mtl_jax.trees import average

# Inside the logarithm of the fairness term, as in the authors' code; counts for classes
# that no masked example was given to.
TINY = 1e-12


class FreeMatchState(NamedTuple):
    """Running means over the weak views, all 1/C at first."""

    threshold: jax.Array  # [], tau: of the confidence
    probabilities: jax.Array  # [C], p~: of the probabilities
    histogram: jax.Array  # [C], h~: of the guessed classes


@dataclasses.dataclass(frozen=True)
class FreeMatch:
    """Consistency with self-adaptive thresholds and class fairness.

    With `q = softmax(weak)`, first the state moves: `tau`, `p~`, `h~` are averages with
    `momentum` of the batch means of `max q`, `q` and `onehot(argmax q)`. Then
    `1[max q >= tau p~_c / max p~] * H(c, strong) + fairness * L_f`, with `c = argmax q`.

    `L_f = sum_c N(p~/h~)_c log N(pbar/hbar)_c`, where N divides by the sum, and pbar, hbar are
    mean probabilities and counted classes of the strong views in the mask (a class without
    count gives 0; an empty mask gives L_f = 0). It is *minus* a cross-entropy, so it is
    NEGATIVE and the loss may be too: making it smaller makes the guesses more diverse. It is
    one number for the batch and is added to each example, so the mean over U has it once.

    Gradients flow into the strong view only: through H and through pbar. They stop at the
    weak view, the state, the mask and all counts.

    Attributes:
      momentum: share of the running means that is kept.
      fairness: weight of L_f (0.05 in the paper, 0.001 to 0.01 in the authors' code).
      weight: of the mean over all U examples; the caller multiplies by it.
      clip: `(low, high)` for tau, as (0.9, 0.95) on SVHN; None leaves it free.

    Raises:
      BadInput: for a momentum outside [0, 1], a negative weight, or a clip that is no pair
        of growing numbers in [0, 1].

    Reference: Wang et al., FreeMatch, ICLR 2023, Sections 4.1 and 4.2
      (https://arxiv.org/abs/2205.07246).
    """

    momentum: float = 0.999
    fairness: float = 0.01
    weight: float = 1.0
    clip: tuple[float, float] | None = None

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0), fairness=(0.0, math.inf), weight=(0.0, math.inf))
        if self.clip is not None:
            pair = isinstance(self.clip, tuple) and len(self.clip) == 2
            grows = pair and 0.0 <= self.clip[0] <= self.clip[1] <= 1.0
            require(grows, self, "clip", "must be (low, high) in [0, 1]", self.clip)

    def init(self, num_classes: int, num_unlabelled: int) -> FreeMatchState:
        """State before the first step: 1/C everywhere."""
        # Three arrays: a step that donates its state may not be given one twice.
        share = jnp.float32(1.0 / num_classes)
        return FreeMatchState(*(jnp.full(shape, share) for shape in ((), num_classes, num_classes)))

    def update(
        self, views: Views, state: FreeMatchState
    ) -> tuple[jax.Array, FreeMatchState, dict[str, jax.Array]]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics.

        Raises:
          AssertionError: if the views are no floats `[U, C]` of one shape, when traced.
        """
        chex.assert_equal_shape([views.strong, views.weak])
        chex.assert_rank([views.strong, views.weak], 2)
        chex.assert_type([views.strong, views.weak], float)
        weak, state = jax.lax.stop_gradient((views.weak, state))
        state = advance(state, weak, self.momentum, self.clip)
        mask = gate(weak, state)
        loss = jnp.where(mask, cross_entropy(views.strong, weak.argmax(-1)), 0.0)
        fair = fairness(views.strong, mask, state)
        metrics = {"mask_rate": mask.mean(), "threshold": state.threshold, "fairness": fair}
        return loss + self.fairness * fair, state, metrics


def advance(
    state: FreeMatchState, weak: jax.Array, momentum: float, clip: tuple[float, float] | None
) -> FreeMatchState:
    """The running means after a batch of weak logits `[U, C]`."""
    probabilities = jax.nn.softmax(weak.astype(state.threshold.dtype))
    batch = FreeMatchState(
        probabilities.max(-1).mean(), probabilities.mean(0), guesses(weak, state.threshold.dtype)
    )
    state = average(state, batch, momentum)
    return state if clip is None else state._replace(threshold=state.threshold.clip(*clip))


def gate(weak: jax.Array, state: FreeMatchState) -> jax.Array:
    """Mask `[U]`: whose confidence reaches its class' `tau * p~_c / max p~`."""
    thresholds = state.threshold * state.probabilities / state.probabilities.max()
    confidence = jax.nn.softmax(weak.astype(thresholds.dtype)).max(-1)
    return confidence >= thresholds[weak.argmax(-1)]


def fairness(strong: jax.Array, mask: jax.Array, state: FreeMatchState) -> jax.Array:
    """The fairness term `[]` of strong logits `[U, C]` in the mask `[U]`; negative."""
    dtype = strong.dtype
    chosen = mask.astype(dtype)[:, None]
    count = jnp.maximum(chosen.sum(), 1.0)
    mean = (jax.nn.softmax(strong) * chosen).sum(0) / count
    counted = jax.nn.one_hot(strong.argmax(-1), strong.shape[-1], dtype=dtype) * chosen
    target = share(state.probabilities.astype(dtype), state.histogram.astype(dtype))
    term = (target * jnp.log(share(mean, counted.sum(0) / count) + TINY)).sum()
    return jnp.where(mask.any(), term, 0.0)


def guesses(logits: jax.Array, dtype) -> jax.Array:
    """Share `[C]` of each class among the guesses of logits `[U, C]`."""
    return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=dtype).mean(0)


def share(value: jax.Array, count: jax.Array) -> jax.Array:
    """`value / count` `[C]`, 0 where the count is, divided by its sum (unless that is 0)."""
    ratio = jnp.where(count > 0, value / jnp.where(count > 0, count, 1.0), 0.0)
    total = ratio.sum()
    return ratio / jnp.where(total > 0, total, 1.0)
