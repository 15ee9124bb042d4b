"""Optax transformations that the optimizers share, with parameter rules."""

import math
from typing import Any

import jax
import optax

from mtl_jax.config.param_rules import ParamRules, rule_of
from mtl_jax.core.optimizer import Optimizer, Schedule
from mtl_jax.core.tree import path_str
from mtl_jax.core.validation import require, require_number


def learning_rate(optimizer: Optimizer, steps: int):
    """The learning rate as a float or a schedule for optax."""
    rate = optimizer.learning_rate
    return rate.schedule(steps) if isinstance(rate, Schedule) else rate


def check_rate(optimizer: Optimizer) -> None:
    """Requires a learning rate that is a non-negative number or a schedule."""
    if not isinstance(optimizer.learning_rate, Schedule):
        require_number(optimizer, learning_rate=(0.0, math.inf))


def with_standard_promotion(
    transform: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """The transformation under JAX's standard dtype promotion, which optax relies on."""

    def init(params):
        with jax.numpy_dtype_promotion("standard"):
            return transform.init(params)

    def update(updates, state, params=None, **extra):
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(updates, state, params, **extra)

    return optax.GradientTransformation(init, update)


def check_clip_norm(optimizer: Any) -> None:
    """Requires a `clip_norm` that is None or a positive number."""
    if optimizer.clip_norm is not None:
        require_number(optimizer, clip_norm=(0.0, math.inf))
        rule = "must be above 0"
        require(optimizer.clip_norm > 0, optimizer, "clip_norm", rule, optimizer.clip_norm)


def clip_by_norm(clip_norm: float | None) -> tuple[optax.GradientTransformation, ...]:
    """Clips the global norm of the gradient, at the start of a chain; () for None."""
    return () if clip_norm is None else (optax.clip_by_global_norm(clip_norm),)


def add_decayed_weights(decay: float, rules: ParamRules) -> optax.GradientTransformation:
    """Adds `decay * w` to the updates of kernels, scaled by the rules' `weight_decay_scale`."""

    def update(updates, state, params=None, **extra):
        def one(path, change, leaf):
            name = path_str(path)
            if not name.endswith("kernel"):
                return change
            return change + decay * rule_of(rules, name).weight_decay_scale * leaf

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_param_rules(rules: ParamRules) -> tuple[optax.GradientTransformation, ...]:
    """Scales updates by the rules' `lr_scale`, at the end of a chain; () if all scales are 1."""
    if all(rule.lr_scale == 1.0 for rule in rules):
        return ()

    def update(updates, state, params=None, **extra):
        def one(path, change):
            return rule_of(rules, path_str(path)).lr_scale * change

        return jax.tree_util.tree_map_with_path(one, updates), state

    return (optax.GradientTransformation(lambda params: optax.EmptyState(), update),)
