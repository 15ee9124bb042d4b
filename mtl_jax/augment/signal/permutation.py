"""Permutation: cuts a signal into segments and permutes them."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.signal.validation import require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int


@dataclasses.dataclass(frozen=True)
class Permutation(Policy):
    """Cuts a signal at random times and joins the segments in a random order.

    The cuts are uniform in `0..T`, so a segment may be short or empty. Every value is kept.

    Attributes:
      segments: number of segments; 0 and 1 are the identity.

    Raises:
      BadInput: for a number that is not an integer >= 0.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on augmentation (https://arxiv.org/abs/1706.00527).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> permuted = jax.jit(signal.Permutation(2))(jax.random.key(0), jnp.arange(4.0)[:, None])
      >>> sorted(permuted[:, 0].tolist())
      [0.0, 1.0, 2.0, 3.0]
    """

    segments: int = 4

    def __post_init__(self):
        require_int(self, segments=0)

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.segments <= 1:
            return signal
        cut_key, order_key = jax.random.split(key)
        length = signal.shape[0]
        cuts = jnp.sort(jax.random.randint(cut_key, (self.segments - 1,), 0, length + 1))
        times = source_times(cuts, jax.random.permutation(order_key, self.segments), length)
        return jnp.asarray(signal).at[times].get(mode="promise_in_bounds")


def source_times(cuts: jax.Array, order: jax.Array, length: int) -> jax.Array:
    """Source time that each new time `[T]` reads.

    Args:
      cuts: increasing times `[P - 1]` at which a segment begins.
      order: the segments `[P]` in their new order.
      length: T.
    """
    starts = jnp.pad(cuts, (1, 0))
    sizes = jnp.pad(cuts, (0, 1), constant_values=length) - starts
    ends = jnp.cumsum(sizes[order])
    times = jnp.arange(length, dtype=ends.dtype)
    # The segment of a new time is the first whose end is later; empty ones have none.
    segment = (times[:, None] >= ends[None]).sum(1)
    return (starts[order] - ends + sizes[order])[segment] + times
