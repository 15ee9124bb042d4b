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
      circular: whether the shift is circular; otherwise zeros are shifted in.

    Raises:
      BadInput: for steps that are not an integer >= 0, or a `circular` that is not a bool.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> shifted = jax.jit(signal.TimeShift(3))(jax.random.key(0), jnp.arange(4.0)[:, None])
      >>> sorted(shifted[:, 0].tolist())
      [0.0, 1.0, 2.0, 3.0]
    """

    steps: int
    circular: bool = True

    def __post_init__(self):
        require_int(self, steps=0)
        require(
            type(self.circular) is bool, self, "circular", "must be True or False", self.circular
        )

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        length = signal.shape[0]
        shift = jax.random.randint(key, (), -self.steps, self.steps + 1)
        times = jnp.arange(length) - shift
        shifted = jnp.asarray(signal).at[times % length].get(mode="promise_in_bounds")
        if self.circular:
            return shifted
        inside = (times >= 0) & (times < length)
        return jnp.where(inside[:, None], shifted, jnp.zeros((), signal.dtype))
