"""Distribution alignment to the labelled images, with the predictions of the last batches."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import align_log_probs
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.prediction import mean_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.tree import ema_update
from mtl_jax.core.validation import require_int, require_number


class Window(NamedTuple):
    """Means of the last batches and of the labelled images; all 1/C initially."""

    means: jax.Array  # [length, C], of the predictions
    target: jax.Array  # [C], of the target distribution
    count: jax.Array  # [], batches so far


@dataclasses.dataclass(frozen=True)
class WindowAlignment(Align):
    """Distribution alignment to the model's probabilities for the labelled images.

    `q_c (t_c + 1e-6) / (m_c + 1e-6)`, normalized to sum 1; m is the mean of the predictions of
    the last batches, the current one included, t a running mean over all batches. Batches that
    have not happened yet count as uniform.

    Attributes:
      length: number of batches.
      momentum: decay of the running mean.

    Raises:
      BadInput: for a length below 1, or a momentum outside [0, 1].

    Reference: Berthelot et al., AdaMatch, ICLR 2022, distribution alignment
      (https://arxiv.org/abs/2106.04732); the two kinds of means are those of the authors' code.

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.AdaMatch(consistency.WindowAlignment(length=32))
      >>> method.init(DatasetSizes(10, 50_000, 40)).align.means.shape
      (32, 10)
    """

    length: int = 128
    momentum: float = 0.999

    def __post_init__(self):
        require_int(self, length=1)
        require_number(self, momentum=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> Window:
        """Returns the initial state."""
        uniform, shape = 1.0 / sizes.num_classes, (self.length, sizes.num_classes)
        means, target = (jnp.full(size, uniform, float) for size in (shape, shape[1]))
        return Window(means, target, jnp.zeros((), jnp.int32))

    def update(
        self, log_probs: jax.Array, views: AuxInputs, state: Window
    ) -> tuple[jax.Array, Window]:
        """Maps log-probabilities `[..., C]` to aligned ones and the next state."""
        dtype = state.means.dtype
        means = state.means.at[state.count % self.length].set(mean_of(jnp.exp(log_probs), dtype))
        labelled = jax.nn.softmax(jax.lax.stop_gradient(views.outputs("labelled")))
        target = ema_update(state.target, mean_of(labelled, dtype), self.momentum)
        aligned = align_log_probs(log_probs, means.mean(0), target)
        return aligned, Window(means, target, state.count + 1)
