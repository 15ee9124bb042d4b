"""What the learning view is told: the guess as a class, or as probabilities."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.prediction import Guess, Of
from mtl_jax.core.validation import require_choice, require_number


@dataclasses.dataclass(frozen=True)
class Hard:
    """The most probable class, as a one-hot vector.

    Attributes:
      of: whether of the plain or of the aligned guess.

    Raises:
      BadInput: for another guess.
    """

    of: Of = "aligned"

    def __post_init__(self):
        require_choice(self, of=("plain", "aligned"))

    def __call__(self, guess: Guess) -> jax.Array:
        """Maps a guess to targets `[..., C]`."""
        own = guess.of(self.of)
        return jax.nn.one_hot(own.argmax(-1), own.shape[-1], dtype=own.dtype)


@dataclasses.dataclass(frozen=True)
class Soft:
    """Probabilities, sharpened: `q_c^(1/T) / sum_j q_j^(1/T)`.

    Attributes:
      temperature: T; 1 leaves the guess as it is, below 1 it becomes surer.
      of: whether of the plain or of the aligned guess.

    Raises:
      BadInput: for a temperature that is not above 0, or another guess.

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Eq. 7
      (https://arxiv.org/abs/1905.02249).
    """

    temperature: float = 1.0
    of: Of = "aligned"

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf))
        require_choice(self, of=("plain", "aligned"))

    def __call__(self, guess: Guess) -> jax.Array:
        """Maps a guess to targets `[..., C]`."""
        # Of log-probabilities: a softmax of probabilities would flatten them.
        return jax.nn.softmax(guess.of(self.of) / jnp.asarray(self.temperature, guess.plain.dtype))
