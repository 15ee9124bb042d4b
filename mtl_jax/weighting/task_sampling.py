"""Task sampling: each step trains one task, drawn by the size of its data."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_number
from mtl_jax.weighting.per_task import per_task, require_fit, require_shares


@dataclasses.dataclass(frozen=True)
class Sampled:
    """One task a step, drawn with probability `p_i = n_i^(1/T) / sum_j n_j^(1/T)`.

    The weights are 1 for the task that is drawn and 0 for the others, so they sum to 1 and their
    mean is p: the run descends `sum_i p_i L_i`, as one that mixes the tasks' examples. They are
    not divided by p_i: that would undo p in the mean, and leave more noise only. The losses do
    not matter. In one joint batch the other tasks' losses are computed and thrown away; where
    that costs, draw batches of one task instead.

    Proportional: `sizes` alone. Capped (n_i is at most `cap`): no huge task drowns the others.
    Uniform: no sizes, or a temperature that is large beside `log(max n / min n)`.

    Attributes:
      sizes: n, the number of examples of each task; None is equal sizes. A task of size 0 is
        never drawn.
      temperature: T; 1 is proportional, larger is more even.
      cap: the largest size that counts; None is none.

    Raises:
      BadInput: for sizes that are no tuple of numbers of at least 0, are all 0, or are not K; for
        a temperature or cap that is not above 0.

    Reference: Raffel et al., Exploring the Limits of Transfer Learning with a Unified
      Text-to-Text Transformer, JMLR 2020, Section 3.5.2 (https://arxiv.org/abs/1910.10683).
    """

    sizes: tuple[float, ...] | None = None
    temperature: float = 1.0
    cap: float | None = None

    def __post_init__(self):
        require_shares(self, "sizes")
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        if self.cap is not None:
            require_number(self, cap=(0.0, math.inf))
            require(self.cap > 0, self, "cap", "must be above 0", self.cap)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        require_fit(self, "sizes", num_tasks)
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`, 1 for one task that `key` alone decides."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        sizes = per_task(self, "sizes", losses, 1.0)
        sizes = sizes if self.cap is None else jnp.minimum(sizes, self.cap)
        task = jax.random.categorical(key, jnp.log(sizes) / self.temperature)
        return jax.nn.one_hot(task, losses.size, dtype=losses.dtype), state
