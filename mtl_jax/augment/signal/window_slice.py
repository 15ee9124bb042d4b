"""WindowSlice: stretch a slice of the signal, of fixed length, to the whole."""

import dataclasses

import jax

from mtl_jax.augment.signal.resample import stretched
from mtl_jax.augment.signal.validation import require_signal, widened
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class WindowSlice:
    """Keeps a slice of fixed length at a random place and stretches it to T again, linearly.

    The paper trains on slices as they are, all of one length, and votes over those of a test
    series; here nets see whole series too, so slices are brought to their length.

    Attributes:
      cut: share that is cut away; the paper keeps 0.9; 0 is the identity.

    Raises:
      BadInput: for a share outside [0, 0.99].

    Reference: Le Guennec et al., Data Augmentation for Time Series Classification using
      Convolutional Neural Networks, ECML/PKDD Workshop on Advanced Analytics and Learning on
      Temporal Data 2016, its section on window slicing
      (https://halshs.archives-ouvertes.fr/halshs-01357973).
    """

    cut: float = 0.1

    def __post_init__(self):
        require_number(self, cut=(0.0, 0.99))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.cut == 0:
            return signal
        wide = widened(signal)
        gone = (wide.shape[0] - 1) * self.cut
        first = gone * jax.random.uniform(key, (), wide.dtype)
        span = float(wide.shape[0] - 1) - gone
        return stretched(wide, first, span).astype(signal.dtype)
