"""What bilevel methods share: weights that go down a slope by Adam, and stay where it is none."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.validation import require, require_number


class OuterState(NamedTuple):
    """What a bilevel method remembers."""

    values: jax.Array  # [K], which the weights are made of
    moments: optax.OptState  # of Adam over them


def begin(values: jax.Array, learning_rate: float) -> OuterState:
    """State before the first step: the first values and Adam's zeros."""
    return OuterState(values, optax.adam(learning_rate).init(values))


def descend(state: OuterState, slope: jax.Array, learning_rate: float) -> OuterState:
    """The state after a step of Adam down a slope `[K]`; as it was if that is not finite."""
    with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
        change, moments = optax.adam(learning_rate).update(slope, state.moments)
    moved = OuterState(state.values + change, moments)
    finite = jnp.isfinite(slope).all()
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)


def require_share(method: object) -> None:
    """Requires a `held_out` inside (0, 1) and a rate of at least 0."""
    require_number(method, held_out=(0.0, 1.0), learning_rate=(0.0, float("inf")))
    inside = 0.0 < method.held_out < 1.0
    require(inside, method, "held_out", "must lie inside (0, 1)", method.held_out)
