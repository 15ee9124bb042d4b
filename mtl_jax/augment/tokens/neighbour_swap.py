"""NeighbourSwap: let some neighbouring tokens change places."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import free, require_ids, require_tokens
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class NeighbourSwap:
    """Parts tokens into pairs of neighbours, and swaps each pair with some probability.

    The pairs begin at even or at odd places, each in half of all cases. So no token moves by
    more than one place.

    Attributes:
      probability: of each pair; 0 is the identity.
      special: tokens that stay where they are, the padding among them.

    Raises:
      BadInput: for a probability outside [0, 1], or tokens that are not whole numbers >= 0.

    Reference: Artetxe et al., Unsupervised Neural Machine Translation, ICLR 2018, its section on
      denoising, which swaps neighbours T / 2 times (https://arxiv.org/abs/1710.11041).
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
        drawn = jax.random.uniform(pair_key, tokens.shape) < self.probability
        return swapped(jnp.asarray(tokens), first, drawn, free(tokens, self.special))


def swapped(tokens: jax.Array, first: jax.Array, drawn: jax.Array, may: jax.Array) -> jax.Array:
    """Swaps pairs that begin at `first` `[]` plus an even number.

    Args:
      tokens: `[T]`.
      first: 0 or 1.
      drawn: whether the pair that begins at a place is to be swapped, `[T]`.
      may: whether a token may be moved, `[T]`; both of a pair must.
    """
    places = jnp.arange(tokens.size)
    begins = (places % 2 == first) & drawn & may & jnp.roll(may, -1).at[-1].set(False)
    ends = jnp.roll(begins, 1)  # No pair begins at the last place, so nothing comes around.
    moved = jnp.where(ends, jnp.roll(tokens, 1), tokens)
    return jnp.where(begins, jnp.roll(tokens, -1), moved)
