"""Named recipes over optax, and schedules, as data that prints and hashes."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from mtl_jax.config.param_rules import Plan, rule_of
from mtl_jax.core.tree import path_text
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require_count, require_number


@typed
@dataclasses.dataclass(frozen=True)
class Cosine:
    """Learning rate that follows a part of a cosine, after a linear warm-up.

    `peak * cos(pi * cycles * t / T)` at step t of T, counted from the end of the warm-up.
    The default is FixMatch's `cos(7 pi k / 16 K)`; `cycles=0.5` ends at zero.

    Attributes:
      peak: largest rate.
      cycles: half turns run through by the end, at most 0.5.
      warmup: steps in which the rate rises from `peak / (warmup + 1)` to `peak`.

    Raises:
      BadInput: for a negative rate or a cosine that would turn negative.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.4 (https://arxiv.org/abs/2001.07685).
    """

    peak: float
    cycles: float = 7 / 16
    warmup: int = 0

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), cycles=(0.0, 0.5))
        require_count(self, warmup=0)

    def over(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The rate as a function of the step, for a run of `steps` steps."""

        def rate(count):
            count = jnp.asarray(count, jnp.float32)
            rise = jnp.minimum(1.0, (count + 1.0) / (self.warmup + 1.0))
            done = jnp.clip((count - self.warmup) / max(1, steps - self.warmup), 0.0, 1.0)
            return self.peak * rise * jnp.cos(math.pi * self.cycles * done)

        return rate


@typed
@dataclasses.dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with Nesterov momentum and decay of the kernels.

    Weight decay is added to the gradient of leaves named `kernel` (not to biases and norms).

    Attributes:
      learning_rate: rate, or a schedule.
      momentum: share of the last update that is kept.
      weight_decay: lambda of `lambda/2 ||w||^2`.

    Raises:
      BadInput: for a negative rate or decay, or a momentum outside [0, 1].
    """

    learning_rate: float | Cosine
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, momentum=(0.0, 1.0), weight_decay=(0.0, math.inf))

    def build(self, steps: int, plan: Plan = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with rates and decays by a plan."""
        return optax.chain(
            decayed(self.weight_decay, plan),
            optax.sgd(rate(self, steps), self.momentum, nesterov=True),
            *paced(plan),
        )


@typed
@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam, with decoupled decay of the kernels (AdamW).

    Attributes:
      learning_rate: rate, or a schedule.
      weight_decay: lambda of the decoupled decay `w -= rate * lambda * w`, kernels only.

    Raises:
      BadInput: for a negative rate or decay.

    Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019,
      Algorithm 2 (https://arxiv.org/abs/1711.05101).
    """

    learning_rate: float | Cosine
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, weight_decay=(0.0, math.inf))

    def build(self, steps: int, plan: Plan = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with rates and decays by a plan."""
        adam = optax.chain(
            optax.scale_by_adam(),
            decayed(self.weight_decay, plan),
            optax.scale_by_learning_rate(rate(self, steps)),
            *paced(plan),
        )

        def update(gradient, state, params):
            with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
                return adam.update(gradient, state, params)

        return optax.GradientTransformation(adam.init, update)


def check_rate(optimizer: SGD | Adam) -> None:
    """Requires a rate that is a number of at least 0, or a schedule."""
    if not isinstance(optimizer.learning_rate, Cosine):
        require_number(optimizer, learning_rate=(0.0, math.inf))


def rate(optimizer: SGD | Adam, steps: int):
    """The learning rate as optax takes it."""
    given = optimizer.learning_rate
    return given.over(steps) if isinstance(given, Cosine) else given


def decayed(decay: float, plan: Plan) -> optax.GradientTransformation:
    """Adds `decay * w` to what comes in, for kernels only, times what a plan says."""

    def update(updates, state, params):
        def one(path, change, leaf):
            name = path_text(path)
            if not name.endswith("kernel"):
                return change
            return change + decay * rule_of(plan, name).decay * leaf

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def paced(plan: Plan) -> tuple[optax.GradientTransformation, ...]:
    """Multiplies the rate by what a plan says, at the end of a chain; nothing if it says nothing."""
    if all(rule.rate == 1.0 for rule in plan):
        return ()

    def update(updates, state, params=None):
        def one(path, change):
            return rule_of(plan, path_text(path)).rate * change

        return jax.tree_util.tree_map_with_path(one, updates), state

    return (optax.GradientTransformation(lambda params: optax.EmptyState(), update),)
