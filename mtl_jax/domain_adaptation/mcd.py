"""Maximum classifier discrepancy (MCD): target disagreement of two classifiers on one trunk."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require_number, require_widths
from mtl_jax.domain_adaptation.domain_views import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp, reverse_gradient
from mtl_jax.domain_adaptation.validation import require_logits, require_same_shape
from mtl_jax.losses.masked import masked_mean


@dataclasses.dataclass(frozen=True)
class MCD(AuxiliaryLoss):
    """Maximum classifier discrepancy: two heads maximize it on the target, the trunk minimizes it.

    A second head is also trained on the labels; on the target, both heads maximize their
    discrepancy `mean |p - q|` and the trunk minimizes it. The paper takes three descent steps per
    iteration, the last one four times; here it is one step, with gradients reversed between trunk
    and heads with an increasing coefficient. The two heads differ at the start, since they are
    initialized independently.

    Attributes:
      widths: widths of the second head's hidden layers; the task's own head is linear.
      warm_up: schedule of the reversal coefficient over the fraction of training completed.
      balance: weight of `class_balance` on the target; 0.01 in TLLib.
      weight: weight of the discrepancy and the balance; the losses of the labels have weight 1.

    Raises:
      BadInput: if a width is below 1, or a weight is negative.

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation,
      CVPR 2018, Section 3 (https://arxiv.org/abs/1712.02560).
    """

    widths: tuple[int, ...] = (256,)
    warm_up: SigmoidWarmUp = dataclasses.field(default_factory=SigmoidWarmUp)
    balance: float = 0.01
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, balance=(0.0, math.inf), weight=(0.0, math.inf))
        require_widths(self, "widths")

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the second classifier."""
        return {"second": AuxMLP(num_classes, self.widths)}

    def labelled_loss(
        self, views: AuxInputs, loss: Callable[..., jax.Array], state: tuple
    ) -> jax.Array:
        """Loss `[]` of the labels, of both heads."""
        logits = (views.outputs(SOURCE), views.apply_head("second", views.features[SOURCE]))
        return sum_arrays(masked_mean(loss, z, views.labels, views.mask) for z in logits)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the negative discrepancy `[]`, no state, and metrics."""
        features = reverse_gradient(views.features[TARGET], self.warm_up(views.progress))
        discrepancy = classifier_discrepancy(
            views.apply_head("", features), views.apply_head("second", features)
        ).mean()
        balance = class_balance(views.outputs(TARGET))
        return AuxUpdate(self.balance * balance - discrepancy, state, {"discrepancy": discrepancy})


def classifier_discrepancy(first: jax.Array, second: jax.Array) -> jax.Array:
    """Discrepancy of two classifiers, `1/C sum_c |p_c - q_c|`, per example.

    An iteration of the method has three descent steps: trunk and both classifiers on the labelled
    source; the classifiers alone on that loss minus the discrepancy on the target; the trunk alone
    on the discrepancy, four times. Gradients with respect to both, which are 0 where they agree.

    Args:
      first: logits of p, `[..., C]`.
      second: logits of q, `[..., C]`.

    Returns:
      The loss `[...]`, from 0 to 2/C.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation,
      CVPR 2018, discrepancy loss (https://arxiv.org/abs/1712.02560).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> logits = jnp.array([[100.0, 0.0], [0.0, 0.0]])
      >>> domain_adaptation.classifier_discrepancy(logits, -logits).tolist()
      [1.0, 0.0]
    """
    require_same_shape("classifier_discrepancy", first, second)
    require_logits("classifier_discrepancy", first)
    return jnp.abs(jax.nn.softmax(first) - jax.nn.softmax(second)).mean(-1)


def class_balance(logits: jax.Array) -> jax.Array:
    """Class balance loss, `-1/C sum_c log(1/N sum_i p_ic)`: penalizes predicting one class only.

    The minimum, log C, is reached if all classes have equal mean probability. Computed from
    log-probabilities, so it is finite for a class of probability zero. Gradients with respect to
    the logits.

    Args:
      logits: logits of p, `[N, C]`.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation, CVPR
      2018, class balance loss (https://arxiv.org/abs/1712.02560); with a mean over classes and a
      weight of 0.01 as in TLLib (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> balanced, unbalanced = 10.0 * jnp.eye(2), jnp.array([[10.0, 0.0], [10.0, 0.0]])
      >>> [round(float(domain_adaptation.class_balance(z)), 2) for z in (balanced, unbalanced)]
      [0.69, 5.0]
    """
    require_logits("class_balance", logits, ndim=2)
    log_means = jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - jnp.log(float(len(logits)))
    return -log_means.mean()
