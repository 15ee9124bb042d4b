"""Jitter: adds noise to a signal."""

import dataclasses

import jax

from mtl_jax.augment.signal.validation import require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class Jitter(Policy):
    """Adds independent noise to each time and channel: `signal + n`, n ~ N(0, sigma^2).

    Attributes:
      sigma: standard deviation in the units of the signal, which are those of the training data
        if it is standardised; 0 is the identity.

    Raises:
      BadInput: for a negative sigma.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on augmentation (https://arxiv.org/abs/1706.00527).
    """

    sigma: float = 0.05

    def __post_init__(self):
        require_number(self, sigma=(0.0, float("inf")))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        # Sampled as one long row: with few channels sampling a table was 1.7 times as slow.
        noise = jax.random.normal(key, (signal.size,), signal.dtype).reshape(signal.shape)
        return signal + self.sigma * noise
