"""Validation of per-task settings, at construction and when K is known."""

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import are_numbers, require


def require_numbers(owner: object, field: str) -> None:
    """Requires that a field is a tuple of finite numbers, or None."""
    value = getattr(owner, field)
    fine = value is None or are_numbers(value)
    require(fine, owner, field, "must be a tuple of finite numbers, or None", value)


def require_shares(owner: object, field: str) -> None:
    """Requires that a field is a tuple of non-negative numbers, not all 0, or None."""
    value = getattr(owner, field)
    fine = value is None or (are_numbers(value) and min(value) >= 0 and max(value) > 0)
    rule = "must be a tuple of finite numbers of at least 0, not all 0, or None"
    require(fine, owner, field, rule, value)


def require_fit(owner: object, field: str, num_tasks: int) -> None:
    """Requires that a field, if it is a tuple, has one entry for each of the K tasks."""
    value = getattr(owner, field)
    fits = not isinstance(value, tuple) or len(value) == num_tasks
    require(fits, owner, field, f"must have {num_tasks} entries", value)


def per_task(owner: object, field: str, like: jax.Array, default: float) -> jax.Array:
    """A field as an array `[K]` with the shape and dtype of `like`; None means `default`."""
    require_fit(owner, field, len(like))
    value = getattr(owner, field)
    return jnp.full_like(like, default) if value is None else jnp.array(value, like.dtype)
