"""Scaling: scales each channel of a signal by a random factor."""

import dataclasses

import jax

from mtl_jax.augment.signal.validation import require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class Scaling(Policy):
    """Multiplies each channel by one factor for all times: `signal u`, u ~ N(1, sigma^2).

    Attributes:
      sigma: standard deviation of the factors; 0 is the identity.

    Raises:
      BadInput: for a negative sigma.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on augmentation (https://arxiv.org/abs/1706.00527).
    """

    sigma: float = 0.1

    def __post_init__(self):
        require_number(self, sigma=(0.0, float("inf")))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        noise = jax.random.normal(key, (1, signal.shape[1]), signal.dtype)
        return signal * (1.0 + self.sigma * noise)
