"""Learning-rate schedules."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.function_config import FunctionConfig
from mtl_jax.core.optimizer import Schedule
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_int, require_number, short_repr


@typechecked
@dataclasses.dataclass(frozen=True)
class CosineSchedule(Schedule):
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
class PolynomialSchedule(Schedule):
    """Polynomial learning-rate decay to zero after a linear warm-up.

    `peak * (1 - t / T)^power` at step t of T, both counted from the end of the warm-up: the
    "poly" rate of semantic segmentation. Heads at ten times the rate of the trunk are
    `param_rules=(ParamRule("tasks/heads/.*", lr_scale=10.0), ParamRule(".*"))`.

    Attributes:
      peak: maximal learning rate.
      power: exponent; `PolynomialSchedule(peak, 1.0)` is the linear decay.
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


@typechecked
@dataclasses.dataclass(frozen=True)
class StepSchedule(Schedule):
    """Learning rate that is multiplied by a factor at given fractions of the run.

    `peak * factor^k` at step t of T, with k the number of fractions f for which `t >= f T`. The
    default, half the rate from half of the steps, is that of the dense multi-task benchmarks.

    Attributes:
      peak: the first learning rate.
      fractions: fractions of the steps, ascending, each between 0 and 1.
      factor: factor at each of them.

    Raises:
      BadInput: for a negative rate or factor, or fractions that do not ascend from 0 to 1.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019,
      its code (github.com/lorenmt/mtan): 200 epochs, halved after 100.
    """

    peak: float
    fractions: tuple[float, ...] = (0.5,)
    factor: float = 0.5

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), factor=(0.0, math.inf))
        ends = (0.0, *self.fractions, 1.0)
        rises = all(one < other for one, other in itertools.pairwise(ends))
        require(rises, self, "fractions", "must ascend between 0 and 1", self.fractions)

    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step, for a run of `steps` steps."""
        boundaries = [steps * fraction for fraction in self.fractions]

        def rate(count):
            count = jnp.asarray(count, jnp.float32)
            passed = sum((count >= boundary).astype(jnp.float32) for boundary in boundaries)
            return self.peak * jnp.power(jnp.float32(self.factor), passed)

        return rate


@typechecked
@dataclasses.dataclass(frozen=True)
class WSDSchedule(Schedule):
    """Warm-up, stable rate, decay to zero at the end (WSD).

    `peak * (1 - d^power)` at step t of T, with `d = (t - (1 - decay) T) / (decay T)` the progress
    of the decay, 0 before it; the warm-up is linear. Unlike with a cosine, the steps before the
    decay do not depend on T.

    Attributes:
      peak: maximal learning rate.
      warmup: number of steps in which the rate rises from `peak / (warmup + 1)` to `peak`.
      decay: fraction of the steps in which the rate falls; 0 keeps it.
      power: 1 is a linear decay; 0.5 the "1-sqrt" of Haegele et al.

    Raises:
      BadInput: for a negative rate, warm-up or power, or a fraction outside [0, 1].

    Reference: Hu et al., MiniCPM, COLM 2024, Section 4, with an exponential decay
      (https://arxiv.org/abs/2404.06395); Haegele et al., Scaling Laws and Compute-Optimal Training
      Beyond Fixed Training Durations, NeurIPS 2024, Section 3 (https://arxiv.org/abs/2405.18392).
    """

    peak: float
    warmup: int = 0
    decay: float = 0.2
    power: float = 1.0

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), decay=(0.0, 1.0), power=(0.0, math.inf))
        require_int(self, warmup=0)

    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step, for a run of `steps` steps."""
        length = self.decay * steps

        def rate(count):
            rise, _ = rise_and_progress(count, steps, self.warmup)
            late = jnp.asarray(count, jnp.float32) - (steps - length)
            progress = jnp.clip(late / (length or math.inf), 0.0, 1.0)
            return self.peak * rise * (1.0 - progress ** jnp.float32(self.power))

        return rate


class OptaxSchedule(FunctionConfig, Schedule):
    """A schedule of optax, or of a user's own function that returns one.

    `OptaxSchedule(optax.sgdr_schedule, cosine_kwargs=...)`; its numbers of steps are what the
    settings say, whatever the run's.

    Args:
      function: a function at module level that returns a function of the step.
      **settings: its keyword arguments.

    Raises:
      BadInput: for another function, or a wrong or missing argument.
    """

    def __init__(self, function: Callable[..., Any], /, **settings: Any):
        super().__init__(function, **settings)
        try:
            rate = jax.eval_shape(self.schedule(1), jax.ShapeDtypeStruct((), jnp.int32))
        except Exception as error:
            raise BadInput(f"{short_repr(self)} fails: {short_repr(error)}") from error
        rule = "must return a function from the step to a number"
        require(rate.shape == (), self, "function", rule, self)

    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step; inner schedules are for `steps` steps."""
        schedule = self.call(steps)

        def rate(count):
            with jax.numpy_dtype_promotion("standard"):
                return jnp.asarray(schedule(count), jnp.float32)

        return rate


def rise_and_progress(count: jax.Array, steps: int, warmup: int) -> tuple[jax.Array, jax.Array]:
    """Fraction of the peak rate by the warm-up, and fraction of the steps after it that are done."""
    count = jnp.asarray(count, jnp.float32)
    rise = jnp.minimum(1.0, (count + 1.0) / (warmup + 1.0))
    return rise, jnp.clip((count - warmup) / max(1, steps - warmup), 0.0, 1.0)
