"""Deep adaptation networks: MMD of the features (DAN), or joint MMD with probabilities (JAN)."""

import dataclasses
import math

import jax

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES, MULTICLASS
from mtl_jax.core.validation import require, require_number
from mtl_jax.domain_adaptation.domain_views import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.mmd import joint_mmd, multi_kernel_mmd


@dataclasses.dataclass(frozen=True)
class DAN(AuxiliaryLoss):
    """Deep adaptation: `multi_kernel_mmd` of the features of both domains.

    Gradients with respect to both batches.

    Attributes:
      weight: weight of the discrepancy; 1 in TLLib.
      linear: whether to use the linear-time estimate, which requires as many unlabelled images as
        labelled ones.

    Raises:
      BadInput: if the weight is negative.

    Reference: Long et al., Learning Transferable Features with Deep Adaptation Networks, ICML
      2015, Section 3 (https://arxiv.org/abs/1502.02791).
    """

    weight: float = 1.0
    linear: bool = False

    target_types = ALL_TYPES
    per_position = False
    views = BOTH

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the discrepancy `[]`, no state, and no metrics."""
        source, target = views.features[SOURCE], views.features[TARGET]
        require_equal_sizes(self, source, target)
        return AuxUpdate(multi_kernel_mmd(source, target, linear=self.linear), state, {})


@dataclasses.dataclass(frozen=True)
class JAN(AuxiliaryLoss):
    """Joint adaptation: `joint_mmd` of features and probabilities of both domains.

    Gradients with respect to both batches. The paper's adversarial layers are not included.

    Attributes:
      weight: weight of the discrepancy; 1 in TLLib.
      linear: whether to use the linear-time estimate, which requires as many unlabelled images as
        labelled ones.

    Raises:
      BadInput: if the weight is negative.

    Reference: Long et al., Deep Transfer Learning with Joint Adaptation Networks, ICML 2017,
      joint maximum mean discrepancy (https://arxiv.org/abs/1605.06636).
    """

    weight: float = 1.0
    linear: bool = False

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the discrepancy `[]`, no state, and no metrics."""
        source, target = (
            (views.features[view], jax.nn.softmax(views.outputs(view))) for view in (SOURCE, TARGET)
        )
        require_equal_sizes(self, source[0], target[0])
        return AuxUpdate(joint_mmd(source, target, linear=self.linear), state, {})


def require_equal_sizes(method: DAN | JAN, source: jax.Array, target: jax.Array) -> None:
    """Requires equal batch sizes of both domains for the linear-time estimate."""
    sizes = (len(source), len(target))
    rule = "needs as many unlabelled images as labelled ones (unlabelled_ratio=1)"
    require(not method.linear or sizes[0] == sizes[1], method, "linear", rule, sizes)
