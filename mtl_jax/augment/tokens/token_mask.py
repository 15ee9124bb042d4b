"""TokenMask: replaces random tokens by a mask token."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import changeable_mask, require_ids, require_tokens
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int, require_number


@dataclasses.dataclass(frozen=True)
class TokenMask(Policy):
    """Replaces each token by the mask token, with some probability.

    Attributes:
      mask: the mask token, such as BERT's `[MASK]`.
      probability: of replacing each token; 0 is the identity.
      special: tokens that are never replaced, padding included.

    Raises:
      BadInput: for a probability outside [0, 1], or tokens that are not integers >= 0.

    Reference: Xie et al., Data Noising as Smoothing in Neural Network Language Models, ICLR
      2017, blank noising (https://arxiv.org/abs/1703.02573).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> policy = tokens.TokenMask(mask=103, probability=1.0)
      >>> policy(jax.random.key(0), jnp.array([5, 6, 0])).tolist()
      [103, 103, 0]
    """

    mask: int
    probability: float = 0.1
    special: tuple[int, ...] = (0,)

    def __post_init__(self):
        require_int(self, mask=0)
        require_number(self, probability=(0.0, 1.0))
        require_ids(self, "special")

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Tokens that the policy may insert: the mask token."""
        return (self.mask,)

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        selected = jax.random.uniform(key, tokens.shape) < self.probability
        masked = selected & changeable_mask(tokens, self.special)
        return jnp.where(masked, jnp.asarray(self.mask, tokens.dtype), tokens)
