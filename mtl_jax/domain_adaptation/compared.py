"""Methods that compare the features of two domains: DAN, JAN, CORAL, AFN."""

import dataclasses
import math
from typing import Literal

import jax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require, require_choice, require_number
from mtl_jax.core.views import View
from mtl_jax.domain_adaptation.afn import feature_norm_radius, feature_norm_step
from mtl_jax.domain_adaptation.coral import coral, coral_with_means
from mtl_jax.domain_adaptation.mmd import joint_mmd, multi_kernel_mmd
from mtl_jax.losses.target_type import ALL_TYPES, MULTICLASS

# The source is what has labels, the target what comes without (see `mtl_jax.data.Domains`).
SOURCE, TARGET = "labelled", "weak"
BOTH: tuple[View, ...] = (SOURCE, TARGET)


@dataclasses.dataclass(frozen=True)
class DAN:
    """Deep adaptation: `multi_kernel_mmd` of the features of both domains.

    Gradients flow into both batches.

    Attributes:
      weight: of the discrepancy; 1 in TLLib.
      linear: in linear time, which needs as many unlabelled images as labelled ones.

    Raises:
      BadInput: for a negative weight.

    Reference: Long et al., Learning Transferable Features with Deep Adaptation Networks, ICML
      2015, Section 3 (https://arxiv.org/abs/1502.02791).
    """

    weight: float = 1.0
    linear: bool = False

    target_types = ALL_TYPES
    views = BOTH

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the discrepancy `[]`, no state, and no metrics."""
        source, target = views.features[SOURCE], views.features[TARGET]
        require_pairs(self, source, target)
        return multi_kernel_mmd(source, target, linear=self.linear), state, {}


@dataclasses.dataclass(frozen=True)
class JAN:
    """Joint adaptation: `joint_mmd` of features and probabilities of both domains.

    Gradients flow into both batches. Without the paper's adversarial layers.

    Attributes:
      weight: of the discrepancy; 1 in TLLib.
      linear: in linear time, which needs as many unlabelled images as labelled ones.

    Raises:
      BadInput: for a negative weight.

    Reference: Long et al., Deep Transfer Learning with Joint Adaptation Networks, ICML 2017,
      joint maximum mean discrepancy (https://arxiv.org/abs/1605.06636).
    """

    weight: float = 1.0
    linear: bool = False

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the discrepancy `[]`, no state, and no metrics."""
        source, target = (
            (views.features[view], jax.nn.softmax(views.of(view))) for view in (SOURCE, TARGET)
        )
        require_pairs(self, source[0], target[0])
        return joint_mmd(source, target, linear=self.linear), state, {}


@dataclasses.dataclass(frozen=True)
class CORAL:
    """Correlation alignment of the features of both domains.

    Gradients flow into both batches.

    Attributes:
      form: "covariances" as the paper (`coral`), or "means" too, as TLLib (`coral_with_means`).
      weight: of the distance; the paper chooses it so that both losses end about alike.

    Raises:
      BadInput: for another form, or a negative weight.

    Reference: Sun and Saenko, Deep CORAL, ECCV 2016 Workshops, Section 3.1
      (https://arxiv.org/abs/1607.01719).
    """

    form: Literal["covariances", "means"] = "covariances"
    weight: float = 1.0

    target_types = ALL_TYPES
    views = BOTH

    def __post_init__(self):
        require_choice(self, form=("covariances", "means"))
        require_number(self, weight=(0.0, math.inf))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the distance `[]`, no state, and no metrics."""
        distance = coral if self.form == "covariances" else coral_with_means
        return distance(views.features[SOURCE], views.features[TARGET]), state, {}


@dataclasses.dataclass(frozen=True)
class AFN:
    """Adaptive feature norm: features of both domains grow to a length, `l(f_s) + l(f_t)`.

    l is the mean of `feature_norm_step`, or with a radius, where there is no step,
    `feature_norm_radius`. The paper's net has a dropout that keeps the mean length too
    (`length_preserving_dropout`); a trunk here has none.

    Attributes:
      step: by how much features shall grow.
      weight: of the losses; 0.05 in TLLib.
      radius: the length that they shall have on average (the hard form); None takes steps.

    Raises:
      BadInput: for a negative number.

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, stepwise and hard adaptive feature
      norm (https://arxiv.org/abs/1811.07456).
    """

    step: float = 1.0
    weight: float = 0.05
    radius: float | None = None

    target_types = ALL_TYPES
    views = BOTH

    def __post_init__(self):
        require_number(self, step=(0.0, math.inf), weight=(0.0, math.inf))
        if self.radius is not None:
            require_number(self, radius=(0.0, math.inf))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss `[]`, no state, and no metrics."""
        return sum(self.grown(views.features[view]) for view in BOTH), state, {}

    def grown(self, features: jax.Array) -> jax.Array:
        """The loss `[]` of one domain's features."""
        if self.radius is None:
            return feature_norm_step(features, step=self.step).mean()
        return feature_norm_radius(features, radius=self.radius)


def require_pairs(method: DAN | JAN, source: jax.Array, target: jax.Array) -> None:
    """Requires as many images of both domains in linear time."""
    sizes = (len(source), len(target))
    rule = "needs as many unlabelled images as labelled ones (unlabelled_ratio=1)"
    require(not method.linear or sizes[0] == sizes[1], method, "linear", rule, sizes)
