"""UniMatch: two strong views and one of perturbed features learn from the weak view."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import CutMixView, FeatureDropoutView, View, view_key
from mtl_jax.losses import cross_entropy


@dataclasses.dataclass(frozen=True)
class UniMatch(AuxiliaryLoss):
    """FixMatch with two strong views and a perturbation of features, for segmentation.

    `mu/2 (L_s1 + L_s2) + lambda L_fp`, each the mean over all outputs of
    `1[max p >= threshold] H(argmax p, q)`, p the prediction for the weak view, without gradient,
    and q that of a strong view or of the weak view's features without some channels. Strong
    views are cut and mixed with those of other images of the batch, and the pseudo-labels and
    their confidence likewise, each pixel from its image; for one output of an image, the terms
    of both images count by their visible fractions. Any leading shape.

    The authors' code halves the sum of this loss and the labelled one, and takes partners from
    another batch, whose pseudo-labels use BatchNorm's running statistics. It leaves out the
    margin that scaling an image down adds, which here counts as image.

    Attributes:
      threshold: confidence from which a pseudo-label counts.
      dropout: share of the channels that are dropped.
      cutmix: probability that a strong view has a rectangle of another; 0 for inputs that are
        not images.
      strong_weight: mu, of both strong views together.
      feature_weight: lambda, of the perturbed features.
      weight: of the whole.

    Raises:
      BadInput: for a threshold or probability outside [0, 1], a dropout outside [0, 1), or a
        negative weight.

    Reference: Yang et al., Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic
      Segmentation, CVPR 2023, Section 3 (https://arxiv.org/abs/2208.09910), and the authors' code.

    Example:
      >>> from mtl_jax import consistency
      >>> weak, first, second, features = consistency.UniMatch().views
      >>> weak, first.view, second.view, features
      ('weak', 'strong', 'strong2', FeatureDropoutView(view='weak', rate=0.5))
    """

    threshold: float = 0.95
    dropout: float = 0.5
    cutmix: float = 0.5
    strong_weight: float = 0.5
    feature_weight: float = 0.5
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), dropout=(0.0, 1.0), cutmix=(0.0, 1.0))
        require(self.dropout < 1.0, self, "dropout", "must be below 1", self.dropout)
        least = (0.0, math.inf)
        require_number(self, strong_weight=least, feature_weight=least, weight=least)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return ("weak", *self.strong_views, FeatureDropoutView("weak", self.dropout))

    @property
    def strong_views(self) -> tuple[View, View]:
        """The strong views, which are trained."""
        if self.cutmix == 0.0:
            return ("strong", "strong2")
        first, second = (CutMixView(v, probability=self.cutmix) for v in ("strong", "strong2"))
        return first, second

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[n]`, no state and metrics."""
        first, second, features = map(per_example_mean, self.losses(views))
        loss = 0.5 * self.strong_weight * (first + second) + self.feature_weight * features
        _, confident = self.pseudo_labels(views)
        return AuxUpdate(loss, state, {"mask_rate": confident.astype(loss.dtype).mean()})

    def pseudo_labels(self, views: AuxInputs) -> tuple[jax.Array, jax.Array]:
        """Classes `[n, ...]` of the weak view, and whether they are confident."""
        probs = jax.nn.softmax(jax.lax.stop_gradient(views.outputs("weak")))
        return probs.argmax(-1), probs.max(-1) >= self.threshold

    def losses(self, views: AuxInputs) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Losses `[n, ...]` of both strong views and of the perturbed features."""
        labels, confident = self.pseudo_labels(views)
        first, second, features = (
            pseudo_label_loss(views, view, labels, confident) for view in self.views[1:]
        )
        return first, second, features


def pseudo_label_loss(
    views: AuxInputs, view: View, labels: jax.Array, confident: jax.Array
) -> jax.Array:
    """Cross-entropy `[n, ...]` of a view with the confident labels of its images."""
    logits = views.outputs(view)
    own = jnp.where(confident, cross_entropy(logits, labels), 0.0)
    if not isinstance(view, CutMixView):
        return own
    params = views.view_params[view_key(view)]
    labels, confident = labels[params.partner], confident[params.partner]
    other = jnp.where(confident, cross_entropy(logits, labels), 0.0)
    ratio = params.ratio_at(own.shape[1:]).astype(own.dtype)
    return ratio * own + (1.0 - ratio) * other
