"""Task sampling: each step trains one task, sampled by data set size."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.weighting.per_task import per_task, require_length, require_weights


@dataclasses.dataclass(frozen=True)
class TaskSampling(LossWeighting):
    """One task per step, sampled with probability `p_i = n_i^(1/T) / sum_j n_j^(1/T)`.

    The weights are 1 for the sampled task and 0 for the others, so they sum to 1 and their
    expectation is p: the run minimizes `sum_i p_i L_i`, as if the tasks' examples were mixed. They
    are not divided by p_i: that would cancel p in expectation and only add noise. The losses have
    no effect. In a joint batch the other tasks' losses are computed and discarded; where that is
    expensive, sample single-task batches instead.

    Proportional: `sizes` only. Capped (n_i is at most `cap`): no huge task dominates the others.
    Uniform: no sizes, or a temperature that is large relative to `log(max n / min n)`.

    Attributes:
      sizes: n, the number of examples of each task; None means equal sizes. A task of size 0 is
        never sampled.
      temperature: T; 1 is proportional, larger is more even.
      cap: upper bound on the sizes; None means no bound.

    Raises:
      BadInput: for sizes that are not a tuple of non-negative numbers, are all 0, or whose number
        is not K; for a temperature or cap that is not positive.

    Reference: Raffel et al., Exploring the Limits of Transfer Learning with a Unified
      Text-to-Text Transformer, JMLR 2020, Section 3.5.2 (https://arxiv.org/abs/1910.10683).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.TaskSampling((100.0, 300.0)), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> sorted(weights.tolist())
      [0.0, 1.0]
    """

    sizes: tuple[float, ...] | None = None
    temperature: float = 1.0
    cap: float | None = None

    def __post_init__(self):
        require_weights(self, "sizes")
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        if self.cap is not None:
            require_number(self, cap=(0.0, math.inf))
            require(self.cap > 0, self, "cap", "must be above 0", self.cap)

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        require_length(self, "sizes", num_tasks)
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`, 1 for one task that depends only on `key`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        sizes = per_task(self, "sizes", losses, 1.0)
        sizes = sizes if self.cap is None else jnp.minimum(sizes, self.cap)
        task = jax.random.categorical(key, jnp.log(sizes) / self.temperature)
        return jax.nn.one_hot(task, losses.size, dtype=losses.dtype), state
