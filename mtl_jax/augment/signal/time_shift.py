"""TimeShift: shifts a signal in time."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.signal.validation import require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require, require_int


@dataclasses.dataclass(frozen=True)
class TimeShift(Policy):
    """Shifts a signal by integer steps: `out[t] = signal[t - d]`, d uniform in `-steps..steps`.

    Attributes:
      steps: largest shift; 0 is the identity.
      around: whether the shift is circular; otherwise zeros are shifted in.

    Raises:
      BadInput: for steps that are not an integer >= 0, or an `around` that is not a bool.
    """

    steps: int
    around: bool = True

    def __post_init__(self):
        require_int(self, steps=0)
        require(type(self.around) is bool, self, "around", "must be True or False", self.around)

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        length = signal.shape[0]
        shift = jax.random.randint(key, (), -self.steps, self.steps + 1)
        places = jnp.arange(length) - shift
        moved = jnp.asarray(signal).at[places % length].get(mode="promise_in_bounds")
        if self.around:
            return moved
        inside = (places >= 0) & (places < length)
        return jnp.where(inside[:, None], moved, jnp.zeros((), signal.dtype))
