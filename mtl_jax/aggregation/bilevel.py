"""Shared code of the bilevel methods: Adam steps on the weights, skipped if not finite."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from mtl_jax.aggregation.jacobian_rows import where_finite
from mtl_jax.core.balancing import BilevelWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.adam import adam_step


class BilevelState(NamedTuple):
    """State of a bilevel method."""

    values: jax.Array  # [K], parameters of the weights
    moments: optax.OptState  # Adam state for them


def init_bilevel(values: jax.Array, learning_rate: float) -> BilevelState:
    """Initial state: the initial values and zero Adam moments."""
    return BilevelState(values, optax.adam(learning_rate).init(values))


def update(state: BilevelState, gradient: jax.Array, learning_rate: float) -> BilevelState:
    """State after one Adam step on a gradient `[K]`; unchanged if it is not finite."""
    updated = BilevelState(*adam_step(state.values, gradient, state.moments, learning_rate))
    return where_finite(jnp.isfinite(gradient).all(), updated, state)


def require_held_out(method: BilevelWeighting) -> None:
    """Requires `held_out` in (0, 1) and a non-negative learning rate."""
    require_number(method, held_out=(0.0, 1.0), learning_rate=(0.0, float("inf")))
    inside = 0.0 < method.held_out < 1.0
    require(inside, method, "held_out", "must lie inside (0, 1)", method.held_out)
