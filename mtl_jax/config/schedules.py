"""Learning-rate schedules."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.optimizer import Schedule
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int, require_number


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


def rise_and_progress(count: jax.Array, steps: int, warmup: int) -> tuple[jax.Array, jax.Array]:
    """Fraction of the peak rate by the warm-up, and fraction of the steps after it that are done."""
    count = jnp.asarray(count, jnp.float32)
    rise = jnp.minimum(1.0, (count + 1.0) / (warmup + 1.0))
    return rise, jnp.clip((count - warmup) / max(1, steps - warmup), 0.0, 1.0)
