"""Methods that go by classifiers on the target: MCC, MCD, MDD."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Free
from mtl_jax.core.validation import require, require_number, require_widths
from mtl_jax.domain_adaptation.compared import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.mcc import class_confusion
from mtl_jax.domain_adaptation.mcd import class_balance, classifier_discrepancy
from mtl_jax.domain_adaptation.mdd import margin_disparity
from mtl_jax.domain_adaptation.reversal import WarmUp, reverse
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS


@dataclasses.dataclass(frozen=True)
class MCC:
    """Minimum class confusion: `class_confusion` of the logits on the target.

    Attributes:
      temperature: T.
      weight: of the confusion.

    Raises:
      BadInput: for a temperature that is not above 0, or a negative weight.

    Reference: Jin et al., Minimum Class Confusion for Versatile Domain Adaptation, ECCV 2020,
      Section 3 (https://arxiv.org/abs/1912.03699).
    """

    temperature: float = 2.5
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, temperature=(0.0, math.inf), weight=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the confusion `[]`, no state, and no metrics."""
        return class_confusion(views.of(TARGET), temperature=self.temperature), state, {}


@dataclasses.dataclass(frozen=True)
class MCD:
    """Maximum classifier discrepancy: two classifiers disagree on the target, the trunk makes peace.

    A second head learns the labels too; on the target both heads go up their discrepancy
    `mean |p - q|` and the trunk down it. The paper takes three descents a step, the last four
    times; here it is one, with reversed gradients between trunk and heads, of which the
    coefficient grows. The two heads begin differently, since they are drawn apart.

    Attributes:
      widths: of the second head's hidden layers; the task's own head is linear.
      warm_up: the coefficient of the reversal by the share of the training that is done.
      balance: weight of `class_balance` on the target; 0.01 in TLLib.
      weight: of the discrepancy and the balance; the labels' losses count 1.

    Raises:
      BadInput: for a width below 1, or a negative weight.

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation,
      CVPR 2018, Section 3 (https://arxiv.org/abs/1712.02560).
    """

    widths: tuple[int, ...] = (256,)
    warm_up: WarmUp = dataclasses.field(default_factory=WarmUp)
    balance: float = 0.01
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, balance=(0.0, math.inf), weight=(0.0, math.inf))
        require_widths(self, "widths")

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The second classifier."""
        return {"second": Free(num_classes, self.widths)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def supervised(self, views: Views, loss: Callable[..., jax.Array], state: tuple) -> jax.Array:
        """The loss `[]` of the labels, of both heads."""
        both = (views.of(SOURCE), views.call("second", views.features[SOURCE]))
        return sum(masked_mean(loss, said, views.labels, views.mask) for said in both)

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the negative discrepancy `[]`, no state, and metrics."""
        moved = reverse(views.features[TARGET], self.warm_up(views.progress))
        apart = classifier_discrepancy(views.call("", moved), views.call("second", moved)).mean()
        balance = class_balance(views.of(TARGET))
        return self.balance * balance - apart, state, {"discrepancy": apart}


@dataclasses.dataclass(frozen=True)
class MDD:
    """Margin disparity discrepancy: an adversary that agrees on the source, not on the target.

    `-margin_disparity`, the adversary's head behind a reversal of gradients: one descent.

    Attributes:
      widths: of the adversary's hidden layers; TLLib has 1024 behind a bottleneck of 2048.
      margin: the paper's gamma, `exp` of its margin.
      coefficient: of the reversal at the end; 0.1 in TLLib.
      warm_up: share of it by the share of the training that is done.
      weight: of the discrepancy.

    Raises:
      BadInput: for a width below 1, or a negative number.

    Reference: Zhang et al., Bridging Theory and Algorithm for Domain Adaptation, ICML 2019,
      Section 4 (https://arxiv.org/abs/1904.05801).
    """

    widths: tuple[int, ...] = (256,)
    margin: float = 4.0
    coefficient: float = 0.1
    warm_up: WarmUp = dataclasses.field(default_factory=WarmUp)
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        least = (0.0, math.inf)
        require_number(self, margin=least, coefficient=least, weight=least)
        require_widths(self, "widths")

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The adversary."""
        return {"adversary": Free(num_classes, self.widths)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the negative discrepancy `[]`, no state, and metrics."""
        features = jnp.concatenate([views.features[view] for view in BOTH])
        moved = reverse(features, self.coefficient * self.warm_up(views.progress))
        said = views.call("adversary", moved)
        adversary = jnp.split(said, [views.of(SOURCE).shape[0]])
        found = margin_disparity(*(views.of(v) for v in BOTH), *adversary, margin=self.margin)
        return -found, state, {"disparity": found}
