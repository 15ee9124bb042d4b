"""Soft weights: a guess counts the less, the further its confidence is below the mean."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.prediction import Guess, Of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require_choice, require_number


class Moments(NamedTuple):
    """Running moments of the confidence, 1/C and 1 at first."""

    mean: jax.Array  # []
    variance: jax.Array  # []


@dataclasses.dataclass(frozen=True)
class TruncatedGaussian:
    """Weights `exp(-min(max q - mean, 0)^2 / (2 variance / sigmas^2))`.

    Mean and (unbiased) variance of the confidence over the batch are averaged with `momentum`
    before they are used.

    Attributes:
      momentum: share of the running moments that is kept.
      sigmas: how many standard deviations one of the Gaussian is.
      of: the guess that is weighted.
      moments: the guess whose moments are kept; the paper has "plain", USB "aligned".

    Raises:
      BadInput: for a momentum outside [0, 1], sigmas out of range, or another guess.

    Reference: Chen et al., SoftMatch, ICLR 2023, Section 3 (https://arxiv.org/abs/2301.10921).
    """

    momentum: float = 0.999
    sigmas: float = 2.0
    of: Of = "aligned"
    moments: Of = "plain"

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0), sigmas=(1e-6, 1e6))
        require_choice(self, of=("plain", "aligned"), moments=("plain", "aligned"))

    def init(self, sizes: Sizes) -> Moments:
        """State before the first step."""
        return Moments(jnp.full((), 1.0 / sizes.classes, float), jnp.ones((), float))

    def update(self, guess: Guess, views: Views, state: Moments) -> tuple:
        """Maps a guess to weights `[...]` in (0, 1], the next state, and its mean."""
        seen = guess.confidence(self.moments).astype(state.mean.dtype)
        state = average(state, Moments(seen.mean(), variance(seen)), self.momentum)
        confidence = guess.confidence(self.of).astype(state.mean.dtype)
        below = jnp.minimum(confidence - state.mean, 0.0)
        weights = jnp.exp(-jnp.square(below) * self.sigmas**2 / (2.0 * state.variance))
        return weights, state, {"threshold": state.mean}


def variance(values: jax.Array) -> jax.Array:
    """Unbiased variance `[]` of all values; 0 of a single one."""
    return jnp.square(values - values.mean()).sum() / max(1, values.size - 1)
