"""RandomSwap: swaps random tokens."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import changeable_first, require_ids, require_tokens
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class RandomSwap(Policy):
    """Swaps two random tokens, n times: `n = max(1, floor(fraction l))` of l movable tokens.

    Attributes:
      fraction: swaps per token; 0 is the identity.
      special: tokens that are never moved, padding included.

    Raises:
      BadInput: for a fraction outside [0, 1], or tokens that are not integers >= 0.

    Reference: Wei and Zou, EDA: Easy Data Augmentation Techniques, EMNLP 2019, Section 2,
      random swap (https://arxiv.org/abs/1901.11196).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> swapped = jax.jit(tokens.RandomSwap(0.5))(jax.random.key(0), jnp.array([1, 2, 3, 0]))
      >>> sorted(swapped.tolist())
      [0, 1, 2, 3]
    """

    fraction: float = 0.1
    special: tuple[int, ...] = (0,)

    def __post_init__(self):
        require_number(self, fraction=(0.0, 1.0))
        require_ids(self, "special")

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        if self.fraction == 0 or tokens.size < 2:
            return tokens
        positions, length = changeable_first(tokens, self.special)
        max_swaps = max(1, math.floor(self.fraction * tokens.size))
        count = jnp.maximum(1, (self.fraction * length.astype(jnp.float32)).astype(jnp.int32))
        # The second of a pair is sampled from the others, so it differs from the first.
        first_key, second_key = jax.random.split(key)
        first = jax.random.randint(first_key, (max_swaps,), 0, jnp.maximum(length, 1))
        distance = jax.random.randint(second_key, (max_swaps,), 1, jnp.maximum(length, 2))
        second = (first + distance) % jnp.maximum(length, 1)
        pairs = jnp.stack([positions[first], positions[second]], 1)
        return apply_swaps(jnp.asarray(tokens), pairs, jnp.where(length > 1, count, 0))


def apply_swaps(tokens: jax.Array, pairs: jax.Array, count: jax.Array) -> jax.Array:
    """Swaps the first `count` `[]` of pairs of positions `[n, 2]`, one after another, in tokens."""

    def step(tokens, inputs):
        pair, i = inputs
        swapped = tokens.at[pair].set(tokens[pair[::-1]])
        return jnp.where(i < count, swapped, tokens), None

    return jax.lax.scan(step, tokens, (pairs, jnp.arange(len(pairs), dtype=jnp.int32)))[0]
