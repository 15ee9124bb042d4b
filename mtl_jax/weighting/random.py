"""Random loss weighting: weights drawn anew at every step."""

import dataclasses
from typing import Literal

import chex
import jax

from mtl_jax.core.validation import require

DRAWS = {"normal": jax.random.normal, "uniform": jax.random.uniform}


@dataclasses.dataclass(frozen=True)
class Random:
    """Weights `softmax(z)` of random z, independent of the losses.

    They sum to 1, so the expected gradient is that of the mean of the losses.

    Attributes:
      distribution: of each z, `"normal"` (of mean 0 and variance 1) or `"uniform"` (on [0, 1)).

    Raises:
      BadInput: for another distribution.

    Reference: Lin et al., Reasonable Effectiveness of Random Weighting: A Litmus Test for
      Multi-Task Learning, TMLR 2022 (https://arxiv.org/abs/2111.10603).
    """

    distribution: Literal["normal", "uniform"] = "normal"

    def __post_init__(self):
        known = isinstance(self.distribution, str) and self.distribution in DRAWS
        rule = f"must be one of {', '.join(DRAWS)}"
        require(known, self, "distribution", rule, self.distribution)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]` that `key` alone decides."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return jax.nn.softmax(DRAWS[self.distribution](key, losses.shape, losses.dtype)), state
