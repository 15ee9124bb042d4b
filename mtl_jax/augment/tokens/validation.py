"""The door of every policy of tokens: what counts as a sequence, and what in it may change."""

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def require_tokens(policy: object, tokens: jax.Array) -> None:
    """Requires one sequence of whole numbers `[T]`.

    Raises:
      ValueError: with the policy and what was given instead, when traced.
    """
    name = type(policy).__name__
    if tokens.ndim != 1:
        raise ValueError(f"{name} takes one sequence [T], not {tokens.shape}: vmap it over more")
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise ValueError(f"{name} takes tokens as whole numbers, not {tokens.dtype}")


def require_ids(policy: object, field: str) -> None:
    """Requires a tuple of whole numbers that are not negative; it may be empty."""
    value = getattr(policy, field)
    fine = isinstance(value, tuple) and all(type(token) is int and token >= 0 for token in value)
    require(fine, policy, field, "must be a tuple of tokens, whole numbers of at least 0", value)


def free(tokens: jax.Array, special: tuple[int, ...]) -> jax.Array:
    """Whether each token `[T]` may be changed: it is none of the special ones."""
    found = jnp.ones(tokens.shape, bool)
    for token in special:
        found &= tokens != token
    return found


def free_first(tokens: jax.Array, special: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """The places `[T]` of what may be changed, in their order, then the rest; how many `[]`."""
    may = free(tokens, special)
    return jnp.argsort(~may, stable=True), may.sum()
