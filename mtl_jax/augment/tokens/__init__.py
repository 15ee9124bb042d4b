"""Random augmentations of tokens, `(key, tokens [T]) -> tokens`; the caller vmaps them."""

from mtl_jax.augment.tokens.back_translation import BackTranslated as BackTranslated
from mtl_jax.augment.tokens.back_translation import OriginalText as OriginalText
from mtl_jax.augment.tokens.neighbour_swap import NeighbourSwap as NeighbourSwap
from mtl_jax.augment.tokens.random_swap import RandomSwap as RandomSwap
from mtl_jax.augment.tokens.synonyms import Synonyms as Synonyms
from mtl_jax.augment.tokens.token_deletion import TokenDeletion as TokenDeletion
from mtl_jax.augment.tokens.token_mask import TokenMask as TokenMask
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
