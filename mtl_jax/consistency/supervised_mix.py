"""Mixup and CutMix of labelled examples: a mixture has the labels of both its parts."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.features import positions_of
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.core.views import MixedView, View, view_key
from mtl_jax.losses.masked import known_entries, masked_losses, masked_mean


@dataclasses.dataclass(frozen=True)
class SupervisedMix(AuxiliaryLoss):
    """Mixup or CutMix of the labelled examples, for any loss of a task.

    The labelled loss is the mean of `r l(z, y_i) + (1 - r) l(z, y_j)`, z the outputs for the
    mixture of the examples i and j, in place of the task's own. For cross-entropy this is the
    loss of the mixed label; for the squared error it has the same gradient. With CutMix, a map
    of labels is cut as the images are, and r is the visible fraction of i for other labels. Where
    a label is missing, its part is left out. There is no loss of unlabelled examples; with
    `SumOfLosses` it is added to one that has.

    Attributes:
      kind: "mixup" or "cutmix".
      alpha: of the Beta distribution of r, which is sampled for each example.

    Raises:
      BadInput: for an unknown kind, or an alpha that is not above 0.

    Reference: Zhang et al., mixup, ICLR 2018, Eq. 1 (https://arxiv.org/abs/1710.09412), alpha 1 on
      CIFAR-10 and 0.1 to 0.4 on ImageNet; Yun et al., CutMix, ICCV 2019, Eq. 1
      (https://arxiv.org/abs/1905.04899), alpha 1.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.SupervisedMix("cutmix").views[0].views
      ('labelled',)
    """

    kind: Literal["mixup", "cutmix"] = "mixup"
    alpha: float = 1.0

    # A map of labels is cut as a whole, so that a loss may be one of whole maps.
    per_position = False

    def __post_init__(self):
        require_choice(self, kind=("mixup", "cutmix"))
        require_number(self, alpha=(1e-6, math.inf))

    @property
    def mixed_view(self) -> MixedView:
        """The mixed view, which is trained."""
        return MixedView(("labelled",), self.alpha, self.kind, keep_dominant=False)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (self.mixed_view,)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Returns a loss of zero `[1]`, no state and metrics."""
        return AuxUpdate(jnp.zeros(1), state, {"mask_rate": jnp.ones(())})

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean loss `[]` of the mixed examples."""
        params = views.view_params[view_key(self.mixed_view)]
        outputs, labels = views.outputs(self.mixed_view), views.labels
        mask = known_entries(labels, views.mask)
        shape = positions_of(outputs)
        if params.ratio_map is not None and len(shape) == 2:
            own = params.ratio_at(shape) > 0.5
            own = own.reshape(*own.shape, *(1,) * (labels.ndim - own.ndim))
            labels = jnp.where(own, labels, labels[params.partner])
            return masked_mean(loss, outputs, labels, jnp.where(own, mask, mask[params.partner]))
        return mixed_mean(loss, outputs, labels, mask, params)


def mixed_mean(
    loss: Callable, outputs: Tree, labels: jax.Array, mask: jax.Array, params: MixParams
) -> jax.Array:
    """Mean `[]` of the known parts of losses, weighted by the fractions of the mixture."""
    partner = params.partner
    own, own_known = masked_losses(loss, outputs, labels, mask)
    other, other_known = masked_losses(loss, outputs, labels[partner], mask[partner])
    ratio = params.ratio.astype(own.dtype).reshape(-1, *(1,) * (own.ndim - 1))
    total = (ratio * own + (1.0 - ratio) * other).sum()
    known, partner_known = own_known.astype(own.dtype), other_known.astype(own.dtype)
    count = (ratio * known + (1.0 - ratio) * partner_known).sum()
    return total / jnp.where(count > 0, count, 1.0)
