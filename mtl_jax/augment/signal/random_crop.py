"""RandomCrop: stretches a random part of random length to the length of the signal."""

import dataclasses

import jax

from mtl_jax.augment.signal.resample import stretch
from mtl_jax.augment.signal.validation import promote, require_signal
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class RandomCrop(Policy):
    """Keeps a part of the signal and stretches it to length T, linearly.

    The part has the fraction u of the length, uniform in `1 - cut..1`, at a random position.

    Attributes:
      cut: largest fraction that is cut away; 0 is the identity.

    Raises:
      BadInput: for a fraction outside [0, 0.99].

    Reference: Wen et al., Time Series Data Augmentation for Deep Learning: A Survey, IJCAI
      2021, its section on the time domain (https://arxiv.org/abs/2002.12478).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import signal
      >>> policy = signal.RandomCrop(cut=0.2)
      >>> crop = jax.jit(policy)(jax.random.key(0), jnp.arange(11.0)[:, None])[:, 0].tolist()
      >>> len(crop), crop[-1] - crop[0] > 7.9  # At least 8 of 10 steps, stretched.
      (11, True)
    """

    cut: float = 0.2

    def __post_init__(self):
        require_number(self, cut=(0.0, 0.99))

    def __call__(self, key: jax.Array, signal: jax.Array) -> jax.Array:
        """Maps a key `[]` and a signal `[T, C]` to one of the same shape and dtype."""
        require_signal(self, signal)
        if self.cut == 0:
            return signal
        promoted = promote(signal)
        uniform = jax.random.uniform(key, (2,), promoted.dtype)
        duration = float(promoted.shape[0] - 1)
        removed = duration * self.cut * uniform[0]
        return stretch(promoted, removed * uniform[1], duration - removed).astype(signal.dtype)
