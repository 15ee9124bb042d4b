"""Synonyms: replaces random tokens by synonyms."""

import collections
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.tokens.validation import require_tokens
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class Synonyms(Policy):
    """Replaces each token that has synonyms by one of them, with some probability.

    EDA instead replaces a number of words that grows with the length, and a word in the
    same way at all its positions.

    Attributes:
      table: a row for each token that has synonyms: the token, then its synonyms, which are
        equally likely; `mtl_jax.data.read_synonyms` reads one.
      probability: of replacing each such token; 0 is the identity.

    Raises:
      BadInput: for a table that is not a tuple of such rows or has a duplicate token, or a
        probability outside [0, 1].

    Reference: Wei and Zou, EDA: Easy Data Augmentation Techniques, EMNLP 2019, Section 2,
      synonym replacement (https://arxiv.org/abs/1901.11196).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> policy = tokens.Synonyms(((5, 7),), probability=1.0)
      >>> jax.jit(policy)(jax.random.key(0), jnp.array([5, 6])).tolist()
      [7, 6]
    """

    table: tuple[tuple[int, ...], ...]
    probability: float = 0.1

    def __post_init__(self):
        rule = "must be a tuple of rows (token, synonym, ...) of integers >= 0"
        require(isinstance(self.table, tuple), self, "table", rule, type(self.table).__name__)
        for row in self.table:
            valid = isinstance(row, tuple) and len(row) > 1
            valid = valid and all(type(token) is int and token >= 0 for token in row)
            require(valid, self, "table", rule, row)
        counts = collections.Counter(row[0] for row in self.table)
        duplicates = [token for token, count in counts.items() if count > 1]
        require(not duplicates, self, "table", "must have one row for each token", duplicates)
        require_number(self, probability=(0.0, 1.0))

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Tokens that the policy may insert: the synonyms."""
        return tuple(token for row in self.table for token in row[1:])

    def __call__(self, key: jax.Array, tokens: jax.Array) -> jax.Array:
        """Maps a key `[]` and tokens `[T]` to others of the same shape and dtype."""
        require_tokens(self, tokens)
        if not (self.table and self.probability):
            return tokens
        words, synonyms, counts = (jnp.asarray(array) for array in table_arrays(self.table))
        queries = jnp.asarray(tokens, words.dtype)
        row = jnp.searchsorted(words, queries).clip(0, len(words) - 1)
        uniform = jax.random.uniform(key, (2, *tokens.shape))
        # Due to rounding the product could reach the count itself.
        count = counts[row]
        choice = jnp.minimum(
            (uniform[1] * count.astype(uniform.dtype)).astype(jnp.int32), count - 1
        )
        replaced = (words[row] == queries) & (uniform[0] < self.probability)
        return jnp.where(replaced, synonyms[row, choice].astype(tokens.dtype), tokens)


@functools.cache
def table_arrays(table: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens `[M]` in increasing order, synonyms `[M, S]` padded with 0, and their number `[M]`."""
    rows = sorted(table)
    counts = np.array([len(row) - 1 for row in rows], np.int32)
    synonyms = np.zeros((len(rows), counts.max()), np.int32)
    for i, row in enumerate(rows):
        synonyms[i, : len(row) - 1] = row[1:]
    return np.array([row[0] for row in rows], np.int32), synonyms, counts
