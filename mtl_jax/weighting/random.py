"""Random loss weighting: weights sampled independently at every step."""

import dataclasses
from typing import Literal

import chex
import jax

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require

SAMPLERS = {"normal": jax.random.normal, "uniform": jax.random.uniform}


@dataclasses.dataclass(frozen=True)
class Random(LossWeighting):
    """Weights `softmax(z)` of random z, independent of the losses.

    They sum to 1, so the expected gradient is that of the mean of the losses.

    Attributes:
      distribution: distribution of each z, `"normal"` (mean 0 and variance 1) or `"uniform"` (on
        [0, 1)).

    Raises:
      BadInput: for an unknown distribution.

    Reference: Lin et al., Reasonable Effectiveness of Random Weighting: A Litmus Test for
      Multi-Task Learning, TMLR 2022 (https://arxiv.org/abs/2111.10603).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.Random(), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> round(float(weights.sum()), 3)
      1.0
    """

    distribution: Literal["normal", "uniform"] = "normal"

    def __post_init__(self):
        valid = isinstance(self.distribution, str) and self.distribution in SAMPLERS
        rule = f"must be one of {', '.join(SAMPLERS)}"
        require(valid, self, "distribution", rule, self.distribution)

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]` that depend only on `key`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        sample = SAMPLERS[self.distribution]
        return jax.nn.softmax(sample(key, losses.shape, losses.dtype)), state
