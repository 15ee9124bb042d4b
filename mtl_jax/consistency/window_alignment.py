"""Distribution alignment to the labelled images, with the guesses of the last batches."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import aligned
from mtl_jax.consistency.prediction import mean_of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require_count, require_number


class Window(NamedTuple):
    """Means of the last batches and of the labelled images; all 1/C at first."""

    means: jax.Array  # [length, C], of the guesses
    target: jax.Array  # [C], of what they shall become
    count: jax.Array  # [], batches so far


@dataclasses.dataclass(frozen=True)
class WindowAlignment:
    """Distribution alignment to the model's probabilities for the labelled images.

    `q_c (t_c + 1e-6) / (m_c + 1e-6)`, divided by its sum; m is the mean of the guesses of the
    last batches, this one included, t a running mean over all batches. Batches that were not
    yet count as uniform.

    Attributes:
      length: number of batches.
      momentum: share of the running mean that is kept.

    Raises:
      BadInput: for a length below 1, or a momentum outside [0, 1].

    Reference: Berthelot et al., AdaMatch, ICLR 2022, distribution alignment
      (https://arxiv.org/abs/2106.04732); the two kinds of means are those of the authors' code.
    """

    length: int = 128
    momentum: float = 0.999

    def __post_init__(self):
        require_count(self, length=1)
        require_number(self, momentum=(0.0, 1.0))

    def init(self, sizes: Sizes) -> Window:
        """State before the first step."""
        share, shape = 1.0 / sizes.classes, (self.length, sizes.classes)
        means, target = (jnp.full(size, share, float) for size in (shape, shape[1]))
        return Window(means, target, jnp.zeros((), jnp.int32))

    def update(self, guess: jax.Array, views: Views, state: Window) -> tuple:
        """Maps log-probabilities `[..., C]` to aligned ones, and the next state."""
        dtype = state.means.dtype
        means = state.means.at[state.count % self.length].set(mean_of(jnp.exp(guess), dtype))
        labelled = jax.nn.softmax(jax.lax.stop_gradient(views.of("labelled")))
        target = average(state.target, mean_of(labelled, dtype), self.momentum)
        return aligned(guess, means.mean(0), target), Window(means, target, state.count + 1)
