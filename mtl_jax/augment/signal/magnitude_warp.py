"""MagnitudeWarp: scales a signal by a smooth random curve."""

import dataclasses

import jax

from mtl_jax.augment.signal.random_curve import sample_curves
from mtl_jax.augment.signal.validation import promote, require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int, require_number


@dataclasses.dataclass(frozen=True)
class MagnitudeWarp(Policy):
    """Multiplies each channel by its own smooth curve: `signal[t] u(t)`.

    u is the cubic spline through samples of N(1, sigma^2) at both ends and at the knots.

    Attributes:
      sigma: standard deviation of the samples; 0 is the identity.
      knots: number of knots between the ends.

    Raises:
      BadInput: for a negative sigma, or knots that are not an integer >= 0.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on augmentation (https://arxiv.org/abs/1706.00527).
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
        curves = sample_curves(key, promoted, self.sigma, self.knots, promoted.shape[1])
        return (promoted * curves).astype(signal.dtype)
