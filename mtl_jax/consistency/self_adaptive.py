"""Self-adaptive thresholds, and the fairness of guesses over classes."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.prediction import Guess, mean_of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require, require_number

# Inside the logarithm of the fairness term, as in the authors' code; counts for classes
# that no masked example was given to.
TINY = 1e-12


class Confidences(NamedTuple):
    """Running means over the weak views, all 1/C at first."""

    threshold: jax.Array  # [], tau: of the confidence
    probabilities: jax.Array  # [C], p~: of the probabilities


@dataclasses.dataclass(frozen=True)
class SelfAdaptive:
    """A threshold that follows what the model has learnt, class by class.

    First the state moves: `tau` and `p~` are averages with `momentum` of the batch means of
    `max q` and `q`. Then `1[max q >= tau p~_c / max p~]`, with c the guessed class.

    Attributes:
      momentum: share of the running means that is kept.
      clip: `(low, high)` for tau, as (0.9, 0.95) on SVHN; None leaves it free.

    Raises:
      BadInput: for a momentum outside [0, 1], or a clip that is no pair of growing numbers
        in [0, 1].

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4.1
      (https://arxiv.org/abs/2205.07246).
    """

    momentum: float = 0.999
    clip: tuple[float, float] | None = None

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0))
        if self.clip is not None:
            pair = isinstance(self.clip, tuple) and len(self.clip) == 2
            grows = pair and 0.0 <= self.clip[0] <= self.clip[1] <= 1.0
            require(grows, self, "clip", "must be (low, high) in [0, 1]", self.clip)

    def init(self, sizes: Sizes) -> Confidences:
        """State before the first step: 1/C everywhere."""
        share = 1.0 / sizes.classes
        return Confidences(jnp.full((), share, float), jnp.full(sizes.classes, share, float))

    def update(self, guess: Guess, views: Views, state: Confidences) -> tuple:
        """Maps a guess to the mask `[...]`, the next state, and the threshold tau."""
        dtype = state.threshold.dtype
        confidence = guess.confidence("aligned")
        batch = Confidences(confidence.astype(dtype).mean(), mean_of(jnp.exp(guess.aligned), dtype))
        state = average(state, batch, self.momentum)
        if self.clip is not None:
            state = state._replace(threshold=state.threshold.clip(*self.clip))
        each = state.threshold * state.probabilities / state.probabilities.max()
        mask = confidence.astype(dtype) >= each[guess.aligned.argmax(-1)]
        return mask, state, {"threshold": state.threshold}


class Shares(NamedTuple):
    """Running means over the weak views, all 1/C at first."""

    probabilities: jax.Array  # [C], p~: of the probabilities
    histogram: jax.Array  # [C], h~: of the guessed classes


@dataclasses.dataclass(frozen=True)
class Fairness:
    """A term that makes guesses more diverse.

    `L_f = sum_c N(p~/h~)_c log N(pbar/hbar)_c`, where N divides by the sum; p~ and h~ are
    running means of the guesses' probabilities and of their classes, and pbar, hbar are mean
    probabilities and counted classes of the learning view in the mask (a class without count
    gives 0; an empty mask gives L_f = 0). It is *minus* a cross-entropy, so it is NEGATIVE and
    the loss may be too: making it smaller makes the guesses more diverse.

    Gradients flow into pbar only.

    Attributes:
      weight: of the term (0.05 in the paper, 0.001 to 0.01 in the authors' code).
      momentum: share of the running means that is kept.

    Raises:
      BadInput: for a momentum outside [0, 1], or a negative weight.

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4.2
      (https://arxiv.org/abs/2205.07246).
    """

    weight: float = 0.01
    momentum: float = 0.999

    name = "fairness"

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), momentum=(0.0, 1.0))

    def init(self, sizes: Sizes) -> Shares:
        """State before the first step: 1/C everywhere."""
        share = 1.0 / sizes.classes
        return Shares(*(jnp.full(sizes.classes, share, float) for _ in range(2)))

    def update(self, guess: Guess, logits: jax.Array, mask: jax.Array, state: Shares) -> tuple:
        """Maps a guess, the learning view `[..., C]` and the mask `[...]` to L_f and a state."""
        dtype, classes = state.histogram.dtype, guess.aligned.shape[-1]
        hits = jax.nn.one_hot(guess.aligned.argmax(-1), classes, dtype=dtype)
        batch = Shares(mean_of(jnp.exp(guess.aligned), dtype), mean_of(hits, dtype))
        state = average(state, batch, self.momentum)
        return fairness(logits, mask, state), state


def fairness(logits: jax.Array, mask: jax.Array, state: Shares) -> jax.Array:
    """The fairness term `[]` of logits `[..., C]` in the mask `[...]`; negative."""
    dtype = logits.dtype
    mask = mask.astype(bool)
    chosen = mask.astype(dtype)[..., None]
    count = jnp.maximum(chosen.sum(), 1.0)
    axes = tuple(range(logits.ndim - 1))
    mean = (jax.nn.softmax(logits) * chosen).sum(axes) / count
    hits = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=dtype) * chosen
    target = share(state.probabilities.astype(dtype), state.histogram.astype(dtype))
    term = (target * jnp.log(share(mean, hits.sum(axes) / count) + TINY)).sum()
    return jnp.where(mask.any(), term, 0.0)


def share(value: jax.Array, count: jax.Array) -> jax.Array:
    """`value / count` `[C]`, 0 where the count is, divided by its sum (unless that is 0)."""
    ratio = jnp.where(count > 0, value / jnp.where(count > 0, count, 1.0), 0.0)
    total = ratio.sum()
    return ratio / jnp.where(total > 0, total, 1.0)
