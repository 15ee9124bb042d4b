"""Optimizers as hashable configurations of optax, and their schedules."""

import dataclasses
import math

import jax
import optax

from mtl_jax.config.param_rules import ParamRules, rule_of
from mtl_jax.config.schedules import CosineSchedule as CosineSchedule
from mtl_jax.config.schedules import PolynomialSchedule as PolynomialSchedule
from mtl_jax.config.schedules import Schedule
from mtl_jax.config.schedules import StepSchedule as StepSchedule
from mtl_jax.core.tree import path_str
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_number


@typechecked
@dataclasses.dataclass(frozen=True)
class SGD:
    """SGD with Nesterov momentum and weight decay of kernels.

    Weight decay is added to the gradient of leaves named `kernel` (not of biases and
    normalization layers).

    Attributes:
      learning_rate: a constant or a schedule.
      momentum: decay of the momentum.
      weight_decay: lambda of `lambda/2 ||w||^2`.

    Raises:
      BadInput: for a negative rate or decay, or a momentum outside [0, 1].
    """

    learning_rate: float | Schedule
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, momentum=(0.0, 1.0), weight_decay=(0.0, math.inf))

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        return optax.chain(
            add_decayed_weights(self.weight_decay, rules),
            optax.sgd(learning_rate(self, steps), self.momentum, nesterov=True),
            *scale_by_param_rules(rules),
        )


@typechecked
@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam with decoupled weight decay of kernels (AdamW).

    Attributes:
      learning_rate: a constant or a schedule.
      weight_decay: lambda of the decoupled decay `w -= rate * lambda * w`, kernels only.

    Raises:
      BadInput: for a negative rate or decay.

    Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019,
      Algorithm 2 (https://arxiv.org/abs/1711.05101).
    """

    learning_rate: float | Schedule
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, weight_decay=(0.0, math.inf))

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        adam = optax.chain(
            optax.scale_by_adam(),
            add_decayed_weights(self.weight_decay, rules),
            optax.scale_by_learning_rate(learning_rate(self, steps)),
            *scale_by_param_rules(rules),
        )

        def update(updates, state, params=None, **extra):
            with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
                return adam.update(updates, state, params, **extra)

        return optax.GradientTransformation(adam.init, update)


def check_rate(optimizer: SGD | Adam) -> None:
    """Requires a learning rate that is a non-negative number or a schedule."""
    if not isinstance(optimizer.learning_rate, Schedule):
        require_number(optimizer, learning_rate=(0.0, math.inf))


def learning_rate(optimizer: SGD | Adam, steps: int):
    """The learning rate as a float or a schedule for optax."""
    rate = optimizer.learning_rate
    return rate.schedule(steps) if isinstance(rate, Schedule) else rate


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
