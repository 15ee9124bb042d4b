"""FixBi: a model closer to the source and one closer to the target that teach each other."""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import MixedView, View, view_key
from mtl_jax.domain_adaptation.domain_views import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.fixbi_losses import (
    bidirectional_matching,
    confidence_threshold,
    fixed_ratio_mixup_loss,
    self_penalty,
    space_consistency,
)
from mtl_jax.losses.masked import masked_mean

HALF = MixedView(BOTH, fixed_lambda=0.5)


@dataclasses.dataclass(frozen=True)
class FixBi(AuxiliaryLoss):
    """FixBi: bridges two domains by two models, each trained on fixed-ratio mixes of both domains.

    The trunk is `nets.TwoBranch`. Model i is trained by `fixed_ratio_mixup_loss` on images with a
    fraction r_i of the source and `1 - r_i` of the target, with its own pseudo-labels for the
    target; r is `ratio` for the first model and `1 - ratio` for the second. Each model is penalized
    for its unconfident predictions (`self_penalty`, with a learned temperature `5 exp(b)`,
    initially 5). After the fraction `matching` of training, each model is also trained on the
    confident pseudo-labels of the other (`bidirectional_matching`), and their predictions are
    matched on images mixed half and half (`space_consistency`). Evaluation uses the sum of their
    logits; the paper's code sums probabilities.

    Means are over the whole batch, with excluded examples contributing 0; the authors' code divides
    by the number of included examples, and uses the penalty only until the models teach each other.
    Both mixed views contain all images of both domains; each model is trained on half of them.

    The paper starts from models pretrained by another method. Here both are trained on the labelled
    images alone for the fraction `warm_up` of training. The confidence threshold is computed from
    the batch (`confidence_threshold`), so no state is kept. No gradient with respect to
    pseudo-labels.

    Attributes:
      ratio: the ratio r of the first model.
      warm_up: fraction of training after which images are mixed.
      matching: fraction of training after which the models teach each other.
      num_std: number of standard deviations of the confidence threshold below the mean confidence.
      weight: weight of all losses except those of the labelled and the mixed images.

    Raises:
      BadInput: if a setting is out of range, or if the trunk of the run does not have two branches.

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021 (https://arxiv.org/abs/2011.09230).

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> method = domain_adaptation.FixBi(ratio=0.7)
      >>> method.needs_two_branches  # The trunk of the run is `nets.TwoBranch(...)`.
      True
      >>> method.mixed_view.views, method.mixed_view.fixed_lambda
      (('labelled', 'weak'), 0.7)
    """

    ratio: float = 0.7
    warm_up: float = 0.25
    matching: float = 0.5
    num_std: float = 2.0
    weight: float = 1.0

    target_types = MULTICLASS
    needs_two_branches = True

    def __post_init__(self):
        unit = (0.0, 1.0)
        require_number(self, ratio=unit, warm_up=unit, matching=unit)
        require_number(self, num_std=(0.0, math.inf), weight=(0.0, math.inf))
        rule = f"must not be below warm_up, {self.warm_up}"
        require(self.matching >= self.warm_up, self, "matching", rule, self.matching)

    @property
    def mixed_view(self) -> MixedView:
        """View of source and target images, each mixed mostly from its own domain."""
        return MixedView(BOTH, fixed_lambda=self.ratio)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return (*BOTH, self.mixed_view, HALF)

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Log-temperatures of both models relative to 5, as a bias."""
        return {"temperature": AuxMLP(2, input_size=1)}

    def labelled_loss(
        self, views: AuxInputs, loss: Callable[..., jax.Array], state: tuple
    ) -> jax.Array:
        """Loss `[]` of labelled images, or of the mixed images, summed over both models."""
        logits = [branch_logits(views, SOURCE, net) for net in (0, 1)]
        labelled = sum_arrays(masked_mean(loss, z, views.labels, views.mask) for z in logits)
        return jnp.where(views.progress < self.warm_up, labelled, self.mixup_loss(views))

    def mixup_loss(self, views: AuxInputs) -> jax.Array:
        """Loss `[]` of both models on mixed images, each on those closer to its domain."""
        partner = views.view_params[view_key(self.mixed_view)].partner
        size, losses = len(views.labels), []
        pseudo_labels = [branch_logits(views, TARGET, net).argmax(-1) for net in (0, 1)]
        # Source rows come first: in the first part of the mixed view, and in the partners of its
        # second part.
        branches = (
            (slice(None, size), self.ratio, jnp.arange(size), partner[:size] - size),
            (slice(size, None), 1 - self.ratio, partner[size:], jnp.arange(len(partner) - size)),
        )
        for net, (rows, ratio, source, target) in enumerate(branches):
            logits = branch_logits(views, self.mixed_view, net)[rows]
            loss = functools.partial(
                fixed_ratio_mixup_loss, pseudo_labels=pseudo_labels[net][target], ratio=ratio
            )
            losses.append(masked_mean(loss, logits, views.labels[source], views.mask[source]))
        return sum_arrays(losses)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the loss of pseudo-labels `[]`, no state, and metrics."""
        target = [branch_logits(views, TARGET, net) for net in (0, 1)]
        thresholds = [confidence_threshold(z, num_std=self.num_std) for z in target]
        bias = views.apply_head("temperature", jnp.zeros((1, 1), target[0].dtype))[0]
        temperatures = 5.0 * jnp.exp(bias)
        penalty = sum_arrays(
            self_penalty(*of_branch)[0].mean()
            for of_branch in zip(target, temperatures, thresholds, strict=True)
        )
        matched = [
            bidirectional_matching(target[i], target[1 - i], thresholds[1 - i]) for i in (0, 1)
        ]
        consistency = space_consistency(*(branch_logits(views, HALF, net) for net in (0, 1))).mean()
        matching = sum_arrays(loss.mean() for loss, _ in matched) + consistency
        total = jnp.where(views.progress >= self.warm_up, penalty, 0.0)
        total = total + jnp.where(views.progress >= self.matching, matching, 0.0)
        rate = sum_arrays(mask.mean(dtype=total.dtype) for _, mask in matched) / 2
        return AuxUpdate(total, state, {"mask_rate": rate, "temperature": temperatures.mean()})


def branch_logits(views: AuxInputs, view: View, net: int) -> jax.Array:
    """Logits `[n, C]` of one of the two models for a view: the task's head on its features only."""
    features = views.features[view_key(view)]
    mask = jnp.arange(features.shape[-1]) // (features.shape[-1] // 2) == net
    # Each gets half of the bias, so that their sum equals the output of the task's head.
    bias = views.apply_head("", jnp.zeros_like(features[:1]))
    return views.apply_head("", jnp.where(mask[None], features, 0.0)) - 0.5 * bias
