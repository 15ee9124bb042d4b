"""Muon for the kernels of trunks, and Adam for the other parameters."""

import dataclasses
import math

import jax
import optax

from mtl_jax.config.param_rules import ParamRules
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
from mtl_jax.core.tree import Tree, path_str
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_number

RMS = 0.2  # Of Muon's updates, as of Adam's.


@typechecked
@dataclasses.dataclass(frozen=True)
class Muon(Optimizer):
    """Muon for the kernels of trunks, Nesterov Adam for heads, biases, norms and embeddings.

    `w -= rate * (0.2 sqrt(max(A, B)) O + lambda w)` for a kernel `[A, B]`, with O the nearest
    semi-orthogonal matrix of its Nesterov momentum, by five Newton-Schulz iterations. The factor
    gives O the root mean square of Adam's updates, so learning rate and weight decay are those of
    `Adam`, for both groups. A convolution `[h, w, in, out]` counts as `[h w in, out]`, and a
    projection of attention as a matrix of all heads.

    Attributes:
      learning_rate: a constant or a schedule.
      momentum: decay of the momentum.
      weight_decay: lambda of the decoupled decay, kernels only.
      clip_norm: largest global norm of the combined gradient, which is scaled down to it first;
        None does not clip.

    Raises:
      BadInput: for a negative rate or decay, a momentum outside [0, 1], or a `clip_norm` of 0.

    Reference: Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024
      (https://kellerjordan.github.io/posts/muon); Liu et al., Muon is Scalable for LLM Training,
      2025, Section 2.2 (https://arxiv.org/abs/2502.16982), for the factor and the decay.
    """

    learning_rate: float | Schedule
    momentum: float = 0.95
    weight_decay: float = 0.0
    _: dataclasses.KW_ONLY
    clip_norm: float | None = None

    def __post_init__(self):
        check_rate(self)
        check_clip_norm(self)
        require_number(self, momentum=(0.0, 1.0), weight_decay=(0.0, math.inf))

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        descent = optax.contrib.muon(
            1.0,
            beta=self.momentum,
            muon_weight_dimension_numbers=matrix_axes,
            consistent_rms=RMS,
        )
        return with_standard_promotion(
            optax.chain(
                *clip_by_norm(self.clip_norm),
                descent,
                add_decayed_weights(-self.weight_decay, rules),
                optax.scale_by_learning_rate(learning_rate(self, steps), flip_sign=False),
                *scale_by_param_rules(rules),
            )
        )


def matrix_axes(params: Tree) -> Tree:
    """Which axes of each kernel of a trunk are inputs and outputs; None for other parameters."""

    def axes(path, leaf):
        names = path_str(path).split("/")
        # The trunks of several tasks are stacked.
        ndim = leaf.ndim - (names[:2] == ["tasks", "trunk"])
        in_trunk = names[0] == "shared" or names[:2] == ["tasks", "trunk"]
        if not in_trunk or names[-1] != "kernel" or ndim < 2:
            return None
        outputs = 2 if names[-2] in ("query", "key", "value") and ndim == 3 else 1
        return optax.contrib.MuonDimensionNumbers(
            tuple(range(-ndim, -outputs)), tuple(range(-outputs, 0))
        )

    return jax.tree_util.tree_map_with_path(axes, params)
