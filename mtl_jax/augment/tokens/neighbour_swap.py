"""NeighbourSwap: swaps random pairs of neighbouring tokens."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import changeable_mask, require_ids, require_tokens
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class NeighbourSwap(Policy):
    """Divides tokens into pairs of neighbours, and swaps each pair with some probability.

    The pairs begin at even or at odd positions, with probability 1/2 each, so no token moves by
    more than one position.

    Attributes:
      probability: of swapping each pair; 0 is the identity.
      special: tokens that are never moved, padding included.

    Raises:
      BadInput: for a probability outside [0, 1], or tokens that are not integers >= 0.

    Reference: Artetxe et al., Unsupervised Neural Machine Translation, ICLR 2018, its section on
      denoising, which swaps neighbours T / 2 times (https://arxiv.org/abs/1710.11041).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> swapped = jax.jit(tokens.NeighbourSwap(1.0))(jax.random.key(0), jnp.array([1, 2, 3, 4, 0, 0]))
      >>> sorted(swapped.tolist()[:4]), swapped.tolist()[4:]  # Padding is not moved.
      ([1, 2, 3, 4], [0, 0])
    """

    probability: float = 0.1
    special: tuple[int, ...] = (0,)

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0))
        require_ids(self, "special")

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        first_key, pair_key = jax.random.split(key)
        first = jax.random.randint(first_key, (), 0, 2)
        selected = jax.random.uniform(pair_key, tokens.shape) < self.probability
        return swap_pairs(
            jnp.asarray(tokens), first, selected, changeable_mask(tokens, self.special)
        )


def swap_pairs(
    tokens: jax.Array, first: jax.Array, selected: jax.Array, movable: jax.Array
) -> jax.Array:
    """Swaps pairs that begin at `first` `[]` plus an even number.

    Args:
      tokens: `[T]`.
      first: 0 or 1.
      selected: whether to swap the pair that begins at a position, `[T]`.
      movable: whether a token may be moved, `[T]`; a pair requires both.
    """
    positions = jnp.arange(tokens.size)
    is_first = (
        (positions % 2 == first) & selected & movable & jnp.roll(movable, -1).at[-1].set(False)
    )
    is_second = jnp.roll(
        is_first, 1
    )  # No pair begins at the last position, so nothing wraps around.
    swapped = jnp.where(is_second, jnp.roll(tokens, 1), tokens)
    return jnp.where(is_first, jnp.roll(tokens, -1), swapped)
