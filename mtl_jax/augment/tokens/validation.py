"""Input validation of token policies, and which tokens may change."""

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def require_tokens(policy: object, tokens: jax.Array) -> None:
    """Requires one sequence of integers `[T]`.

    Raises:
      ValueError: when traced, naming the policy and the actual input.
    """
    name = type(policy).__name__
    if tokens.ndim != 1:
        raise ValueError(f"{name} takes one sequence [T], not {tokens.shape}: vmap it over more")
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise ValueError(f"{name} takes tokens as integers, not {tokens.dtype}")


def require_ids(policy: object, field: str) -> None:
    """Requires a tuple of non-negative integers; it may be empty."""
    value = getattr(policy, field)
    valid = isinstance(value, tuple) and all(type(token) is int and token >= 0 for token in value)
    require(valid, policy, field, "must be a tuple of tokens, integers of at least 0", value)


def changeable_mask(tokens: jax.Array, special: tuple[int, ...]) -> jax.Array:
    """Mask of the tokens `[T]` that may be changed, those that are not special."""
    mask = jnp.ones(tokens.shape, bool)
    for token in special:
        mask &= tokens != token
    return mask


def changeable_first(tokens: jax.Array, special: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Positions `[T]`, those of tokens that may be changed first, in order; their number `[]`."""
    changeable = changeable_mask(tokens, special)
    return jnp.argsort(~changeable, stable=True), changeable.sum()
