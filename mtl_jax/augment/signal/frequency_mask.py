"""FrequencyMask: removes random frequencies from a signal."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.signal.validation import promote, require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class FrequencyMask(Policy):
    """Zeroes frequencies at random: `irfft(m * rfft(signal))` along time.

    m is 0 for each frequency with some probability, the same in all channels, and 1 for
    frequency 0, so each channel keeps its mean.

    Attributes:
      probability: of removing each frequency; 0 is the identity.

    Raises:
      BadInput: for a probability outside [0, 1].

    Reference: Chen et al., FrAug: Frequency Domain Augmentation for Time Series Forecasting,
      2023, its section on frequency masking (https://arxiv.org/abs/2302.09292).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> policy = signal.FrequencyMask(probability=1.0)  # Only the mean is left.
      >>> masked = jax.jit(policy)(jax.random.key(0), jnp.array([[1.0], [2.0], [3.0], [6.0]]))
      >>> [round(value, 3) for value in masked[:, 0].tolist()]
      [3.0, 3.0, 3.0, 3.0]
    """

    probability: float = 0.1

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.probability == 0:
            return signal
        promoted = promote(signal)
        spectrum = jnp.fft.rfft(promoted, axis=0)
        mask = jax.random.uniform(key, spectrum.shape[:1]) >= self.probability
        spectrum = jnp.where(mask.at[0].set(True)[:, None], spectrum, 0)
        return jnp.fft.irfft(spectrum, promoted.shape[0], axis=0).astype(signal.dtype)
