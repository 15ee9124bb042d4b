"""TokenMask: put a blank in the place of some tokens."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import free, require_ids, require_tokens
from mtl_jax.core.validation import require_count, require_number


@dataclasses.dataclass(frozen=True)
class TokenMask:
    """Replaces each token by the blank, with some probability.

    Attributes:
      mask: the blank, such as BERT's `[MASK]`.
      probability: of each token to be replaced; 0 is the identity.
      special: tokens that stay, the padding among them.

    Raises:
      BadInput: for a probability outside [0, 1], or tokens that are not whole numbers >= 0.

    Reference: Xie et al., Data Noising as Smoothing in Neural Network Language Models, ICLR
      2017, blank noising (https://arxiv.org/abs/1703.02573).
    """

    mask: int
    probability: float = 0.1
    special: tuple[int, ...] = (0,)

    def __post_init__(self):
        require_count(self, mask=0)
        require_number(self, probability=(0.0, 1.0))
        require_ids(self, "special")

    @property
    def brings(self) -> tuple[int, ...]:
        """The token that it puts in: the blank."""
        return (self.mask,)

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        drawn = jax.random.uniform(key, tokens.shape) < self.probability
        covered = drawn & free(tokens, self.special)
        return jnp.where(covered, jnp.asarray(self.mask, tokens.dtype), tokens)
