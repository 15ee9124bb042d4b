"""Settings with a number for each task: checked when made, and when K is known."""

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import are_numbers, require


def require_numbers(owner: object, field: str) -> None:
    """Requires of a field a tuple of finite numbers, or None."""
    value = getattr(owner, field)
    fine = value is None or are_numbers(value)
    require(fine, owner, field, "must be a tuple of finite numbers, or None", value)


def require_shares(owner: object, field: str) -> None:
    """Requires of a field a tuple of numbers of at least 0, not all of them 0, or None."""
    value = getattr(owner, field)
    fine = value is None or (are_numbers(value) and min(value) >= 0 and max(value) > 0)
    rule = "must be a tuple of finite numbers of at least 0, not all 0, or None"
    require(fine, owner, field, rule, value)


def require_fit(owner: object, field: str, num_tasks: int) -> None:
    """Requires of a field that is a tuple that it has one entry for each of K tasks."""
    value = getattr(owner, field)
    fits = not isinstance(value, tuple) or len(value) == num_tasks
    require(fits, owner, field, f"must have {num_tasks} entries", value)


def per_task(owner: object, field: str, like: jax.Array, default: float) -> jax.Array:
    """A field as an array `[K]` of the shape and dtype of `like`; None is `default` each."""
    require_fit(owner, field, len(like))
    value = getattr(owner, field)
    return jnp.full_like(like, default) if value is None else jnp.array(value, like.dtype)
