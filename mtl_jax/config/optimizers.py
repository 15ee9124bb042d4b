"""SGD, Adam and Lion with weight decay of kernels; the names of all optimizers and schedules."""

import dataclasses
import math

import optax

# Names of `mtl_jax.optimizers`, as those below.
from mtl_jax.config.muon import Muon  # noqa: F401
from mtl_jax.config.optax_functions import Optax  # noqa: F401
from mtl_jax.config.optimizer_wrappers import SAM, ReduceOnPlateau, ScheduleFree  # noqa: F401
from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.schedules import (  # noqa: F401
    CosineSchedule,
    OptaxSchedule,
    PolynomialSchedule,
    StepSchedule,
    WSDSchedule,
)
from mtl_jax.config.transforms import (
    add_decayed_weights,
    check_clip_norm,
    check_rate,
    clip_by_norm,
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
      clip_norm: largest global norm of the combined gradient, which is scaled down to it first;
        None does not clip.

    Raises:
      BadInput: for a negative rate or decay, a momentum outside [0, 1], or a `clip_norm` of 0.
    """

    learning_rate: float | Schedule
    momentum: float = 0.9
    weight_decay: float = 0.0
    _: dataclasses.KW_ONLY
    clip_norm: float | None = None

    def __post_init__(self):
        check_rate(self)
        check_clip_norm(self)
        require_number(self, momentum=(0.0, 1.0), weight_decay=(0.0, math.inf))

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        return optax.chain(
            *clip_by_norm(self.clip_norm),
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
      clip_norm: largest global norm of the combined gradient, which is scaled down to it first;
        None does not clip.

    Raises:
      BadInput: for a negative rate or decay, or a `clip_norm` of 0.

    Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019,
      Algorithm 2 (https://arxiv.org/abs/1711.05101).
    """

    learning_rate: float | Schedule
    weight_decay: float = 0.0
    _: dataclasses.KW_ONLY
    clip_norm: float | None = None

    momentum = 0.9

    def __post_init__(self):
        check_rate(self)
        check_clip_norm(self)
        require_number(self, weight_decay=(0.0, math.inf))

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        return with_standard_promotion(
            optax.chain(
                *clip_by_norm(self.clip_norm),
                optax.scale_by_adam(),
                add_decayed_weights(self.weight_decay, rules),
                optax.scale_by_learning_rate(learning_rate(self, steps)),
                *scale_by_param_rules(rules),
            )
        )


@typechecked
@dataclasses.dataclass(frozen=True)
class Lion(Optimizer):
    """Lion: the sign of a momentum, with decoupled weight decay of kernels.

    `w -= rate * (sign(b1 m + (1 - b1) g) + lambda w)`, then `m = b2 m + (1 - b2) g`. Rates are 3 to
    10 times smaller than Adam's, and lambda larger by as much.

    Attributes:
      learning_rate: a constant or a schedule.
      b1: weight of the momentum in the update.
      b2: decay of the momentum.
      weight_decay: lambda of the decoupled decay, kernels only.
      clip_norm: largest global norm of the combined gradient, which is scaled down to it first;
        None does not clip.

    Raises:
      BadInput: for a negative rate or decay, b1 or b2 outside [0, 1], or a `clip_norm` of 0.

    Reference: Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023,
      Algorithm 2 (https://arxiv.org/abs/2302.06675).
    """

    learning_rate: float | Schedule
    b1: float = 0.9
    b2: float = 0.99
    weight_decay: float = 0.0
    _: dataclasses.KW_ONLY
    clip_norm: float | None = None

    def __post_init__(self):
        check_rate(self)
        check_clip_norm(self)
        require_number(self, b1=(0.0, 1.0), b2=(0.0, 1.0), weight_decay=(0.0, math.inf))

    @property
    def momentum(self) -> float:
        """b2, the decay of the momentum."""
        return self.b2

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        return with_standard_promotion(
            optax.chain(
                *clip_by_norm(self.clip_norm),
                optax.scale_by_lion(self.b1, self.b2),
                add_decayed_weights(self.weight_decay, rules),
                optax.scale_by_learning_rate(learning_rate(self, steps)),
                *scale_by_param_rules(rules),
            )
        )
