"""TimeWarp: warps a signal smoothly in time."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.signal.random_curve import sample_curves
from mtl_jax.augment.signal.resample import resample
from mtl_jax.augment.signal.validation import promote, require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int, require_number

MIN_SPEED = 0.1  # Time never stops or runs backwards, however large sigma is.


@dataclasses.dataclass(frozen=True)
class TimeWarp(Policy):
    """Reads the signal at warped times, linearly: `out[t] = signal(w(t))`.

    The speed of w is the cubic spline through samples of N(1, sigma^2) at both ends and at the
    knots, at least 0.1, and scaled so that w goes from 0 to `T - 1`. All channels share one warp,
    so that simultaneous events stay together; the authors' code warps each channel separately.

    Attributes:
      sigma: standard deviation of the samples; 0 is the identity.
      knots: number of knots between the ends.

    Raises:
      BadInput: for a negative sigma, or knots that are not an integer >= 0.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on augmentation (https://arxiv.org/abs/1706.00527).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> policy = signal.TimeWarp(sigma=0.5)
      >>> warped = jax.jit(policy)(jax.random.key(0), jnp.arange(5.0)[:, None])[:, 0].tolist()
      >>> round(warped[0], 3), round(warped[-1], 3)  # The ends stay.
      (0.0, 4.0)
    """

    sigma: float = 0.2
    knots: int = 4

    def __post_init__(self):
        require_number(self, sigma=(0.0, float("inf")))
        require_int(self, knots=0)

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.sigma == 0:
            return signal
        promoted = promote(signal)
        speed = sample_curves(key, promoted, self.sigma, self.knots, 1)[:, 0]
        return resample(promoted, warped_times(speed)).astype(signal.dtype)


def warped_times(speed: jax.Array) -> jax.Array:
    """Times `[T]` from 0 to `T - 1` whose steps are proportional to the speeds `[T]`."""
    speed = jnp.maximum(speed, MIN_SPEED)
    # The step between two times is proportional to the mean of their speeds.
    steps = jnp.pad((speed[1:] + speed[:-1]) / 2, (1, 0))
    times = jnp.cumsum(steps)
    return times * ((len(speed) - 1) / jnp.maximum(times[-1], MIN_SPEED))
