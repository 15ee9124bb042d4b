"""AdaMatch: pseudo-labels aligned to the labelled images, with two BatchNorm passes."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import DistributionAlignment
from mtl_jax.consistency.mask import RelativeThreshold
from mtl_jax.consistency.match import Match, MatchState
from mtl_jax.consistency.window_alignment import WindowAlignment
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import SeparatePass
from mtl_jax.losses.masked import masked_mean

WINDOW = WindowAlignment()
# A pass of the labelled images without the unlabelled ones in BatchNorm's batch.
SEPARATE = SeparatePass(("labelled", "labelled_strong"))


@dataclasses.dataclass(frozen=True)
class AdaMatch(AuxiliaryLoss):
    """AdaMatch, for unlabelled images of the labelled domain or of another.

    `z = z' + r (z'' - z')` are the logits of the labelled images: z' with the unlabelled images in
    BatchNorm's batch, z'' in a separate pass, r uniform in [0, 1) for each logit. The labelled
    loss is replaced by `1/2 (loss(z_weak, y) + loss(z_strong, y))`, and the unlabelled loss is
    `w(s) 1[max q >= c] H(argmax q, strong)` with q the aligned prediction for the weak view, c a
    fraction (`relative_threshold`) of the mean confidence of softmax(z_weak), and
    `w(s) = 1/2 - 1/2 cos(min(pi, 2 pi s))` for the fraction s of training that is done.

    Gradients flow through both passes. No gradient with respect to thresholds and targets. All
    labelled images count in alignment and threshold, whether or not they have the task's label.
    Any leading shape.

    Attributes:
      align: of the predictions; `DistributionAlignment("labelled")` has running means for both
        distributions.
      relative_threshold: fraction of the labelled images' mean confidence.
      weight: of the mean over all U examples, when w is 1.

    Raises:
      BadInput: for a fraction outside [0, 1], or a negative weight.

    Reference: Berthelot et al., AdaMatch, ICLR 2022, Section 3
      (https://arxiv.org/abs/2106.04732).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.AdaMatch(consistency.DistributionAlignment("labelled"), relative_threshold=0.8)
      >>> method.match.mask
      RelativeThreshold(threshold=0.8, prediction='aligned')
      >>> method.views[-1].views  # The second pass of the labelled images.
      ('labelled', 'labelled_strong')
    """

    align: WindowAlignment | DistributionAlignment = WINDOW
    relative_threshold: float = 0.9
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("labelled", "labelled_strong", "weak", "strong", SEPARATE)

    def __post_init__(self):
        require_number(self, relative_threshold=(0.0, 1.0), weight=(0.0, math.inf))

    @property
    def match(self) -> Match:
        """Match for the unlabelled images, once the labelled logits are interpolated."""
        return Match(align=self.align, mask=RelativeThreshold(self.relative_threshold))

    def init(self, sizes: DatasetSizes) -> MatchState:
        """Returns the initial state."""
        return self.match.init(sizes)

    def update(self, views: AuxInputs, state: MatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        weak, _ = labelled_logits(views)
        mixed = views._replace(logits={**views.logits, "labelled": weak})
        loss, state, metrics = self.match.update(mixed, state)
        ramp = 0.5 - 0.5 * jnp.cos(jnp.minimum(math.pi, 2.0 * math.pi * views.progress))
        return AuxUpdate(ramp.astype(loss.dtype) * loss, state, metrics)

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean loss `[]` over both views of the labelled examples."""
        losses = [masked_mean(loss, z, views.labels, views.mask) for z in labelled_logits(views)]
        return 0.5 * sum_arrays(losses)


def labelled_logits(views: AuxInputs) -> tuple[jax.Array, jax.Array]:
    """Interpolated logits of the labelled images, weak and strong `[B, ..., C]`."""
    joint = jnp.concatenate([views.outputs("labelled"), views.outputs("labelled_strong")])
    ratio = jax.random.uniform(fold_in_name(views.key, "interpolation"), joint.shape, joint.dtype)
    mixed = joint + (views.outputs(SEPARATE) - joint) * ratio
    return mixed[: len(views.labels)], mixed[len(views.labels) :]
