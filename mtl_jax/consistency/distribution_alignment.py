"""Distribution alignment: predictions whose mean over time matches a target distribution."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.prediction import mean_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.tree import ema_update
from mtl_jax.core.validation import require_choice, require_int, require_number

# Added to both means, as in the authors' code.
TINY = 1e-6


@dataclasses.dataclass(frozen=True)
class NoAlignment(Align):
    """Leaves predictions unchanged.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.Match().align
      NoAlignment()
    """

    def update(
        self, log_probs: jax.Array, views: AuxInputs, state: tuple[()]
    ) -> tuple[jax.Array, tuple[()]]:
        """Returns the log-probabilities `[..., C]` and no state."""
        return log_probs, state


class RunningMeans(NamedTuple):
    """Running means; the model's starts from the first batch, the target's from 1/C."""

    model: jax.Array  # [C], of the predictions
    target: jax.Array  # [C], of the target distribution
    initialized: jax.Array  # [], whether there was a batch


@dataclasses.dataclass(frozen=True)
class DistributionAlignment(Align):
    """Distribution alignment with running means.

    `q_c (t_c + 1e-6) / (m_c + 1e-6)`, normalized to sum 1; m is a running mean of the
    predictions q over the batches, the current one included, and t the target distribution.

    Attributes:
      target: t: 1/C ("uniform"), or a running mean of the model's probabilities for the
        labelled images ("labelled") or of their labels ("labels").
      momentum: decay of the running means.

    Raises:
      BadInput: for an unknown target, or a momentum outside [0, 1].

    Reference: Berthelot et al., ReMixMatch, ICLR 2020, Section 3.1
      (https://arxiv.org/abs/1911.09785); towards the labelled images' predictions: Berthelot et
      al., AdaMatch, ICLR 2022, Section 3.2 (https://arxiv.org/abs/2106.04732).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> align = consistency.DistributionAlignment(momentum=0.0)
      >>> log_probs = jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]]))
      >>> state = align.init(DatasetSizes(2, 2, 1))
      >>> aligned, _ = align.update(log_probs, views=None, state=state)
      >>> [[round(p, 2) for p in row] for row in jnp.exp(aligned).tolist()]
      [[0.79, 0.21], [0.3, 0.7]]
    """

    target: Literal["uniform", "labelled", "labels"] = "uniform"
    momentum: float = 0.999

    def __post_init__(self):
        require_choice(self, target=("uniform", "labelled", "labels"))
        require_number(self, momentum=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> RunningMeans:
        """Returns the initial state."""
        uniform = 1.0 / sizes.num_classes
        means = (jnp.full(sizes.num_classes, uniform, float) for _ in range(2))
        return RunningMeans(*means, jnp.zeros((), bool))

    def update(
        self, log_probs: jax.Array, views: AuxInputs, state: RunningMeans
    ) -> tuple[jax.Array, RunningMeans]:
        """Maps log-probabilities `[..., C]` to aligned ones and the next state."""
        dtype = state.model.dtype
        batch = mean_of(jnp.exp(log_probs), dtype)
        model = ema_update(jnp.where(state.initialized, state.model, batch), batch, self.momentum)
        target = state.target
        if self.target != "uniform":
            target = ema_update(target, self.estimate_target(views, state), self.momentum)
        state = RunningMeans(model, target, jnp.ones((), bool))
        return align_log_probs(log_probs, model, target), state

    def estimate_target(self, views: AuxInputs, state: RunningMeans) -> jax.Array:
        """Estimate of the target distribution from this batch, `[C]`."""
        dtype = state.target.dtype
        if self.target == "labelled":
            return mean_of(jax.nn.softmax(jax.lax.stop_gradient(views.outputs("labelled"))), dtype)
        one_hot = jax.nn.one_hot(views.labels, state.target.shape[0], dtype=dtype)
        mask = (views.labels >= 0) & views.mask.reshape(-1, *(1,) * (views.labels.ndim - 1))
        total = mask.sum().astype(dtype)
        one_hot = jnp.where(mask[..., None], one_hot, 0.0)
        counts = one_hot.reshape(-1, one_hot.shape[-1]).sum(0)
        return jnp.where(total > 0, counts / jnp.maximum(total, 1.0), state.target)


class Queue(NamedTuple):
    """Means of the last batches; rows not yet filled are zeros."""

    means: jax.Array  # [length, C]
    count: jax.Array  # [], batches so far


@dataclasses.dataclass(frozen=True)
class QueueAlignment(Align):
    """Distribution alignment to the uniform distribution, with the mean of the last batches.

    `q_c (1/C + 1e-6) / (m_c + 1e-6)`, normalized to sum 1; m is the mean of the predictions of
    the last batches, the current one included. (The reference code of CoMatch, SimMatch and
    ShrinkMatch divides by the length even while the queue is not full: with a target of 1/C that
    changes only the effect of the 1e-6, since the result is normalized.)

    Attributes:
      length: number of batches.

    Raises:
      BadInput: for a length below 1.

    Reference: Li et al., CoMatch, ICCV 2021, Section 3.2 (https://arxiv.org/abs/2011.11183).

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.FixMatch(align=consistency.QueueAlignment(length=16))
      >>> method.init(DatasetSizes(10, 50_000, 40)).align.means.shape
      (16, 10)
    """

    length: int = 32

    def __post_init__(self):
        require_int(self, length=1)

    def init(self, sizes: DatasetSizes) -> Queue:
        """Returns the initial state."""
        return Queue(jnp.zeros((self.length, sizes.num_classes), float), jnp.zeros((), jnp.int32))

    def update(
        self, log_probs: jax.Array, views: AuxInputs, state: Queue
    ) -> tuple[jax.Array, Queue]:
        """Maps log-probabilities `[..., C]` to aligned ones and the next state."""
        mean = mean_of(jnp.exp(log_probs), state.means.dtype)
        means = state.means.at[state.count % self.length].set(mean)
        uniform = jnp.full_like(mean, 1.0 / mean.size)
        return align_log_probs(log_probs, means.mean(0), uniform), Queue(means, state.count + 1)


def align_log_probs(log_probs: jax.Array, model: jax.Array, target: jax.Array) -> jax.Array:
    """Log-probabilities `[..., C]` times `target / model` `[C]`, normalized to sum 1."""
    shift = jnp.log(target + TINY) - jnp.log(model + TINY)
    shift = shift.astype(log_probs.dtype).reshape((1,) * (log_probs.ndim - 1) + (-1,))
    return jax.nn.log_softmax(log_probs + shift)
