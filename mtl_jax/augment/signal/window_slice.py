"""WindowSlice: stretches a random slice of fixed length to the length of the signal."""

import dataclasses

import jax

from mtl_jax.augment.signal.resample import stretch
from mtl_jax.augment.signal.validation import promote, require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class WindowSlice(Policy):
    """Keeps a slice of fixed length at a random position and stretches it to length T, linearly.

    The paper trains on unstretched slices, all of one length, and votes over those of a test
    series; here models also receive whole series, so slices are stretched to their length.

    Attributes:
      reduce_ratio: fraction that is cut away; the paper keeps 0.9; 0 is the identity.

    Raises:
      BadInput: for a fraction outside [0, 0.99].

    Reference: Le Guennec et al., Data Augmentation for Time Series Classification using
      Convolutional Neural Networks, ECML/PKDD Workshop on Advanced Analytics and Learning on
      Temporal Data 2016, its section on window slicing
      (https://halshs.archives-ouvertes.fr/halshs-01357973).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> policy = signal.WindowSlice(reduce_ratio=0.1)
      >>> window = jax.jit(policy)(jax.random.key(0), jnp.arange(11.0)[:, None])[:, 0].tolist()
      >>> len(window), round(window[-1] - window[0], 3)  # 9 of 10 steps, stretched.
      (11, 9.0)
    """

    reduce_ratio: float = 0.1

    def __post_init__(self):
        require_number(self, reduce_ratio=(0.0, 0.99))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.reduce_ratio == 0:
            return signal
        promoted = promote(signal)
        removed = (promoted.shape[0] - 1) * self.reduce_ratio
        start = removed * jax.random.uniform(key, (), promoted.dtype)
        span = float(promoted.shape[0] - 1) - removed
        return stretch(promoted, start, span).astype(signal.dtype)
