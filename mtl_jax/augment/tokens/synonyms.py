"""Synonyms: put another word of the same meaning in the place of some tokens."""

import collections
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.tokens.validation import require_tokens
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class Synonyms:
    """Replaces each token that has synonyms by one of them, with some probability.

    EDA replaces a number of words that grows with the length instead, and a word at all its
    places alike.

    Attributes:
      table: a row for each token that has synonyms: the token, then the synonyms, of which each
        is as likely; `mtl_jax.data.read_synonyms` reads one.
      probability: of each such token to be replaced; 0 is the identity.

    Raises:
      BadInput: for a table that is no tuple of such rows or has a token twice, or a probability
        outside [0, 1].

    Reference: Wei and Zou, EDA: Easy Data Augmentation Techniques, EMNLP 2019, Section 2,
      synonym replacement (https://arxiv.org/abs/1901.11196).
    """

    table: tuple[tuple[int, ...], ...]
    probability: float = 0.1

    def __post_init__(self):
        rule = "must be a tuple of rows (token, synonym, ...) of whole numbers >= 0"
        require(isinstance(self.table, tuple), self, "table", rule, type(self.table).__name__)
        for row in self.table:
            fine = isinstance(row, tuple) and len(row) > 1
            fine = fine and all(type(token) is int and token >= 0 for token in row)
            require(fine, self, "table", rule, row)
        counts = collections.Counter(row[0] for row in self.table)
        twice = [token for token, count in counts.items() if count > 1]
        require(not twice, self, "table", "must have one row for each token", twice)
        require_number(self, probability=(0.0, 1.0))

    @property
    def brings(self) -> tuple[int, ...]:
        """The tokens that it puts in: the synonyms."""
        return tuple(token for row in self.table for token in row[1:])

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        if not (self.table and self.probability):
            return tokens
        heads, others, counts = (jnp.asarray(array) for array in arrays(self.table))
        known = jnp.asarray(tokens, heads.dtype)
        row = jnp.searchsorted(heads, known).clip(0, len(heads) - 1)
        draw = jax.random.uniform(key, (2, *tokens.shape))
        # Rounding could bring the product up to the count itself.
        count = counts[row]
        choice = jnp.minimum((draw[1] * count.astype(draw.dtype)).astype(jnp.int32), count - 1)
        replaced = (heads[row] == known) & (draw[0] < self.probability)
        return jnp.where(replaced, others[row, choice].astype(tokens.dtype), tokens)


@functools.cache
def arrays(table: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens `[M]` in rising order, their synonyms `[M, S]` filled up by 0, how many `[M]`."""
    rows = sorted(table)
    counts = np.array([len(row) - 1 for row in rows], np.int32)
    others = np.zeros((len(rows), counts.max()), np.int32)
    for place, row in enumerate(rows):
        others[place, : len(row) - 1] = row[1:]
    return np.array([row[0] for row in rows], np.int32), others, counts
