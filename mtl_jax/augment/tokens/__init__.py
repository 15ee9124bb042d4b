"""Random augmentations of tokens, `(key, tokens [T]) -> tokens`; the caller vmaps them.

Example:
  >>> import jax
  >>> import jax.numpy as jnp
  >>> from mtl_jax.augment import tokens
  >>> policy = tokens.TokenMask(mask=103)
  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> jax.eval_shape(jax.vmap(policy), keys, jnp.ones((2, 8), jnp.int32)).shape
  (2, 8)
"""

from mtl_jax.augment.tokens.back_translation import BackTranslated as BackTranslated
from mtl_jax.augment.tokens.back_translation import OriginalText as OriginalText
from mtl_jax.augment.tokens.neighbour_swap import NeighbourSwap as NeighbourSwap
from mtl_jax.augment.tokens.random_swap import RandomSwap as RandomSwap
from mtl_jax.augment.tokens.synonyms import Synonyms as Synonyms
from mtl_jax.augment.tokens.token_deletion import TokenDeletion as TokenDeletion
from mtl_jax.augment.tokens.token_mask import TokenMask as TokenMask
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
