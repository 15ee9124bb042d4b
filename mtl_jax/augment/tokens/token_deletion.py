"""TokenDeletion: deletes random tokens."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.tokens.validation import changeable_mask, require_ids, require_tokens
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_int, require_number


@dataclasses.dataclass(frozen=True)
class TokenDeletion(Policy):
    """Deletes each token with some probability; the rest is compacted and padded at the end.

    Of the tokens that may be deleted, one is always kept, if there is any, uniformly at random.

    Attributes:
      probability: of deleting each token; 0 is the identity.
      padding: token that fills the end.
      special: other tokens that are never deleted.

    Raises:
      BadInput: for a probability outside [0, 1], or tokens that are not integers >= 0.

    Reference: Wei and Zou, EDA: Easy Data Augmentation Techniques, EMNLP 2019, Section 2,
      random deletion (https://arxiv.org/abs/1901.11196).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> shorter = jax.jit(tokens.TokenDeletion(1.0))(jax.random.key(0), jnp.array([5, 6, 7, 0]))
      >>> 4 - shorter.tolist().count(0)  # One token always remains.
      1
    """

    probability: float = 0.1
    padding: int = 0
    special: tuple[int, ...] = ()

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0))
        require_int(self, padding=0)
        require_ids(self, "special")

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Tokens that the policy may insert: the padding."""
        return (self.padding,)

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        if self.probability == 0:
            return tokens
        deletable = changeable_mask(tokens, (self.padding, *self.special))
        # The token with the largest sample stays, which matters only if all others are deleted.
        uniform = jnp.where(deletable, jax.random.uniform(key, tokens.shape), -1.0)
        deleted = (
            deletable & (uniform < self.probability) & (jnp.arange(tokens.size) != uniform.argmax())
        )
        return compact(tokens, deleted, self.padding)


def compact(tokens: jax.Array, deleted: jax.Array, padding: int) -> jax.Array:
    """The tokens `[T]` that are not deleted, in order, padded at the end."""
    order = jnp.argsort(deleted, stable=True)
    remaining = jnp.arange(tokens.size) < (~deleted).sum()
    return jnp.where(remaining, jnp.asarray(tokens)[order], jnp.asarray(padding, tokens.dtype))
