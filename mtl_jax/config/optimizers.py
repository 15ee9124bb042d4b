"""Optimizers: SGD and Adam with weight decay of kernels, and any of optax; their schedules."""

import dataclasses
import math

import optax

# All of these are names of `mtl_jax.optimizers`.
from mtl_jax.config.optax_functions import Optax  # noqa: F401
from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.schedules import CosineSchedule, PolynomialSchedule, StepSchedule  # noqa: F401
from mtl_jax.config.transforms import (
    add_decayed_weights,
    learning_rate,
    scale_by_param_rules,
    with_standard_promotion,
)
from mtl_jax.core.optimizer import Optimizer, Schedule
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_number


@typechecked
@dataclasses.dataclass(frozen=True)
class SGD(Optimizer):
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
class Adam(Optimizer):
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
        return with_standard_promotion(
            optax.chain(
                optax.scale_by_adam(),
                add_decayed_weights(self.weight_decay, rules),
                optax.scale_by_learning_rate(learning_rate(self, steps)),
                *scale_by_param_rules(rules),
            )
        )


def check_rate(optimizer: Optimizer) -> None:
    """Requires a learning rate that is a non-negative number or a schedule."""
    if not isinstance(optimizer.learning_rate, Schedule):
        require_number(optimizer, learning_rate=(0.0, math.inf))
