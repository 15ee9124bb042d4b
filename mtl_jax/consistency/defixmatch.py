"""DeFixMatch: FixMatch's unlabelled loss is subtracted on labelled images, to remove bias."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import ConfidenceThreshold
from mtl_jax.consistency.match import Match, MatchState
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.losses.masked import masked_mean


@dataclasses.dataclass(frozen=True)
class DeFixMatch(AuxiliaryLoss):
    """FixMatch with an unbiased risk, whether or not the pseudo-labels are right.

    `L = 1/2 (CE_weak + CE_strong) + weight (mean_u h_u - mean_l h_l)`, where h is FixMatch's
    loss of an image, `1[max q >= threshold] H(argmax q, strong)` with the prediction q for its
    weak view. Labelled and unlabelled images have the same distribution, so the difference has
    expectation 0 and L is an unbiased estimate of the supervised risk, for any weight; the weight
    affects the variance. The strong view has half of the labelled loss, and accordingly the
    paper halves FixMatch's weight. The unlabelled loss may be negative.

    The mean over l is over the labelled images that have this task's label; a batch without any
    has no unlabelled loss, since its bias could not be removed. No gradient with respect to the
    weak views of h.

    Attributes:
      threshold: confidence from which a pseudo-label counts.
      weight: of the difference.

    Raises:
      BadInput: for a threshold outside [0, 1], or a negative weight.

    Reference: Schmutz, Humbert and Mattei, Don't Fear the Unlabelled: Safe Semi-Supervised
      Learning via Debiasing, ICLR 2023, DeSSL and its experiments with FixMatch
      (https://arxiv.org/abs/2203.07512).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.DeFixMatch(threshold=0.9).views
      ('labelled', 'labelled_strong', 'weak', 'strong')
    """

    threshold: float = 0.95
    weight: float = 0.5

    target_types = MULTICLASS
    views = ("labelled", "labelled_strong", "weak", "strong")

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), weight=(0.0, math.inf))

    def match(self, target_view: View, student_view: View) -> Match:
        """FixMatch's loss h of a pair of views."""
        return Match(
            mask=ConfidenceThreshold(self.threshold),
            target_view=target_view,
            student_view=student_view,
        )

    def init(self, sizes: DatasetSizes) -> MatchState:
        """Returns the initial state: empty."""
        return self.match("weak", "strong").init(sizes)

    def update(self, views: AuxInputs, state: MatchState) -> AuxUpdate:
        """Maps views to `h_u - mean_l h_l` `[U]`, no state and metrics."""
        loss, state, metrics = self.match("weak", "strong").update(views, state)
        labelled = self.match("labelled", "labelled_strong")
        labelled_losses, _, labelled_metrics = labelled.update(views, state)
        count = views.mask.sum().astype(labelled_losses.dtype)
        bias = jnp.where(views.mask, labelled_losses, 0.0).sum() / jnp.maximum(count, 1.0)
        metrics = {**metrics, "labelled_mask_rate": labelled_metrics["mask_rate"]}
        return AuxUpdate(jnp.where(views.mask.any(), loss - bias, 0.0), state, metrics)

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean loss `[]` over labelled examples and their two views."""
        means = (
            masked_mean(loss, views.outputs(view), views.labels, views.mask)
            for view in ("labelled", "labelled_strong")
        )
        return sum_arrays(means) / 2.0
