"""States of methods after their warm-up, at which their losses are not zero."""

import functools

import jax
import jax.numpy as jnp

from mtl_jax.consistency import RDA, Dash, MultiLabel, RankUp, SumOfLosses, TemporalEnsembling


def warm(method, state):
    """The state of a method after its warm-up; the same for a method without one."""
    if isinstance(method, Dash):
        return state._replace(step=jnp.full_like(state.step, method.warm_up))
    if isinstance(method, RDA):
        return state._replace(aligned=jnp.ones_like(state.aligned))
    if isinstance(method, TemporalEnsembling):
        share = (1.0 - method.momentum) / state.total.shape[-1]
        return type(state)(jnp.full_like(state.total, share), jnp.ones_like(state.count))
    if isinstance(method, MultiLabel):
        # A state without arrays has no axis of labels.
        once = functools.partial(warm, method.method)
        return jax.vmap(once)(state) if jax.tree.leaves(state) else state
    if isinstance(method, RankUp) and method.regression_method is not None:
        return warm(method.regression_method, state)
    if isinstance(method, SumOfLosses):
        return tuple(map(warm, method.methods, state))
    return state
