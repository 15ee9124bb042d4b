"""Validation of per-task settings, at construction and when K is known."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import are_numbers, require


def require_numbers(method: Any, field: str) -> None:
    """Requires that a field is a tuple of finite numbers, or None."""
    value = getattr(method, field)
    valid = value is None or are_numbers(value)
    require(valid, method, field, "must be a tuple of finite numbers, or None", value)


def require_weights(method: Any, field: str) -> None:
    """Requires that a field is a tuple of non-negative numbers, not all 0, or None."""
    value = getattr(method, field)
    valid = value is None or (are_numbers(value) and min(value) >= 0 and max(value) > 0)
    rule = "must be a tuple of finite numbers of at least 0, not all 0, or None"
    require(valid, method, field, rule, value)


def require_length(method: Any, field: str, num_tasks: int) -> None:
    """Requires that a field, if it is a tuple, has one entry for each of the K tasks."""
    value = getattr(method, field)
    valid = not isinstance(value, tuple) or len(value) == num_tasks
    require(valid, method, field, f"must have {num_tasks} entries", value)


def per_task(method: Any, field: str, like: jax.Array, default: float) -> jax.Array:
    """A field as an array `[K]` with the shape and dtype of `like`; None means `default`."""
    require_length(method, field, len(like))
    value = getattr(method, field)
    return jnp.full_like(like, default) if value is None else jnp.array(value, like.dtype)
