"""TimeMask: fills a random interval of a signal."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.signal.validation import require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int, require_number


@dataclasses.dataclass(frozen=True)
class TimeMask(Policy):
    """Fills an interval of time in all channels.

    Its width is uniform in `0..steps`, at most T, and its position within the signal is random.

    Attributes:
      steps: largest width; 0 is the identity.
      fill: value in the interval; 0 is the mean of a standardised signal.

    Raises:
      BadInput: for steps that are not an integer >= 0, or a fill that is not a number.

    Reference: Park et al., SpecAugment, Interspeech 2019, Section 2, time masking
      (https://arxiv.org/abs/1904.08779).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> masked = jax.jit(signal.TimeMask(steps=2, fill=-1.0))(jax.random.key(0), jnp.ones((5, 1)))
      >>> masked[:, 0].tolist().count(-1.0) <= 2
      True
    """

    steps: int
    fill: float = 0.0

    def __post_init__(self):
        require_int(self, steps=0)
        require_number(self, fill=(float("-inf"), float("inf")))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        length = signal.shape[0]
        width_key, start_key = jax.random.split(key)
        width = jax.random.randint(width_key, (), 0, min(self.steps, length) + 1)
        start = jax.random.randint(start_key, (), 0, length - width + 1)
        times = jnp.arange(length)
        mask = (times >= start) & (times < start + width)
        return jnp.where(mask[:, None], jnp.asarray(self.fill, signal.dtype), signal)
