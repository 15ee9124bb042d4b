"""Optimizers and learning-rate schedules as hashable configurations of optax."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from mtl_jax.config.param_rules import ParamRules, rule_of
from mtl_jax.core.tree import path_str
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int, require_number


@typechecked
@dataclasses.dataclass(frozen=True)
class CosineSchedule:
    """Cosine learning-rate decay after a linear warm-up.

    `peak * cos(pi * cycles * t / T)` at step t of T, both counted from the end of the warm-up.
    The default is FixMatch's `cos(7 pi k / 16 K)`; `cycles=0.5` ends at zero.

    Attributes:
      peak: maximal learning rate.
      cycles: number of half periods at the end, at most 0.5.
      warmup: number of steps in which the rate rises from `peak / (warmup + 1)` to `peak`.

    Raises:
      BadInput: for a negative rate or a cosine that would become negative.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.4 (https://arxiv.org/abs/2001.07685).
    """

    peak: float
    cycles: float = 7 / 16
    warmup: int = 0

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), cycles=(0.0, 0.5))
        require_int(self, warmup=0)

    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step, for a run of `steps` steps."""

        def rate(count):
            rise, done = rise_and_progress(count, steps, self.warmup)
            return self.peak * rise * jnp.cos(math.pi * self.cycles * done)

        return rate


@typechecked
@dataclasses.dataclass(frozen=True)
class PolynomialSchedule:
    """Polynomial learning-rate decay to zero after a linear warm-up.

    `peak * (1 - t / T)^power` at step t of T, both counted from the end of the warm-up: the
    "poly" rate of semantic segmentation. Heads at ten times the rate of the trunk are
    `param_rules=(ParamRule("tasks/heads/.*", lr_scale=10.0), ParamRule(".*"))`.

    Attributes:
      peak: maximal learning rate.
      power: exponent; 1 is a linear decay.
      warmup: number of steps in which the rate rises from `peak / (warmup + 1)` to `peak`.

    Raises:
      BadInput: for a negative rate, power or warm-up.

    Reference: Chen et al., DeepLab, TPAMI 2018, Section 4.1, with a power of 0.9
      (https://arxiv.org/abs/1606.00915).
    """

    peak: float
    power: float = 0.9
    warmup: int = 0

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), power=(0.0, math.inf))
        require_int(self, warmup=0)

    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step, for a run of `steps` steps."""

        def rate(count):
            rise, done = rise_and_progress(count, steps, self.warmup)
            return self.peak * rise * (1.0 - done) ** jnp.float32(self.power)

        return rate


def rise_and_progress(count: jax.Array, steps: int, warmup: int) -> tuple[jax.Array, jax.Array]:
    """Fraction of the peak rate by the warm-up, and fraction of the steps after it that are done."""
    count = jnp.asarray(count, jnp.float32)
    rise = jnp.minimum(1.0, (count + 1.0) / (warmup + 1.0))
    return rise, jnp.clip((count - warmup) / max(1, steps - warmup), 0.0, 1.0)


SCHEDULES = (CosineSchedule, PolynomialSchedule)


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

    learning_rate: float | CosineSchedule | PolynomialSchedule
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

    learning_rate: float | CosineSchedule | PolynomialSchedule
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
    if not isinstance(optimizer.learning_rate, SCHEDULES):
        require_number(optimizer, learning_rate=(0.0, math.inf))


def learning_rate(optimizer: SGD | Adam, steps: int):
    """The learning rate as a float or a schedule for optax."""
    rate = optimizer.learning_rate
    return rate.schedule(steps) if isinstance(rate, SCHEDULES) else rate


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
