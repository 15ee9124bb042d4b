"""Sampling among a text and its paraphrases, such as precomputed back-translations."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.policy import Policy


@dataclasses.dataclass(frozen=True)
class OriginalText(Policy):
    """The original text: the first of its versions.

    Raises:
      ValueError: when traced, for anything other than a table of tokens `[V, T]`.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> versions = jnp.array([[5, 6], [7, 8]])
      >>> tokens.OriginalText()(jax.random.key(0), versions).tolist()
      [5, 6]
    """

    def __call__(self, key: jax.Array, versions: jax.Array) -> jax.Array:
        """Maps a key `[]` and versions `[V, T]` to tokens `[T]`."""
        require_versions(self, versions, 1)
        return versions[0]


@dataclasses.dataclass(frozen=True)
class BackTranslated(Policy):
    """A uniformly sampled paraphrase of a text: any of its versions but the first.

    Raises:
      ValueError: when traced, for anything other than a table of tokens `[V, T]` with V >= 2.

    Reference: Xie et al., Unsupervised Data Augmentation for Consistency Training, NeurIPS 2020,
      its section on back-translation (https://arxiv.org/abs/1904.12848).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import tokens
      >>> versions = jnp.array([[5, 6], [7, 8]])
      >>> tokens.BackTranslated()(jax.random.key(0), versions).tolist()
      [7, 8]
    """

    def __call__(self, key: jax.Array, versions: jax.Array) -> jax.Array:
        """Maps a key `[]` and versions `[V, T]` to tokens `[T]`."""
        require_versions(self, versions, 2)
        return jnp.asarray(versions)[jax.random.randint(key, (), 1, versions.shape[0])]


def require_versions(policy: object, versions: jax.Array, min_versions: int) -> None:
    """Requires integer versions of one text `[V, T]`, at least `min_versions` of them."""
    name = type(policy).__name__
    if versions.ndim != 2 or versions.shape[0] < min_versions:
        text = (
            f"{name} takes versions of one text [V, T], V >= {min_versions}, not {versions.shape}"
        )
        raise ValueError(f"{text}: vmap it over more")
    if not jnp.issubdtype(versions.dtype, jnp.integer):
        raise ValueError(f"{name} takes tokens as integers, not {versions.dtype}")
