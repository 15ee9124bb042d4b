"""MultiMatch: three heads, each trained on pseudo-labels selected and weighted by the others."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.pseudo_margin import (
    Margins,
    init_margins,
    margin_quantiles,
    update_margins,
)
from mtl_jax.consistency.self_adaptive import SelfAdaptiveThreshold
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean

# The task's own head and two more; for each, the other two.
HEADS = (None, "second", "third")
OTHERS = ((1, 2), (0, 2), (0, 1))
# Default mask of a head's predictions.
MASK = SelfAdaptiveThreshold()


class MultiMatchState(NamedTuple):
    """State of the three heads."""

    masks: tuple[Tree, ...]
    margins: Margins
    cutoff: jax.Array  # [3, C], for the labels that each head receives
    epoch: jax.Array  # [], of the last step


@dataclasses.dataclass(frozen=True)
class MultiMatch(AuxiliaryLoss):
    """Co-training of three heads with averaged margins.

    Each head is trained on the other two, i and j, on the strong view: the loss of an example is
    `1/3 sum_h w_h H(label_h, strong_h)`. Head i passes if the running margin of its pseudo-label
    (see `pseudo_margin`) reaches the cut-off of that class. If both pass and agree, the example
    is easy: w is 1. If exactly one passes, it is hard: the label is that head's, and w is `hard`.
    In all other cases, and where neither prediction is in its head's mask, w is 0.

    Training has `epochs` parts of equal length, t = 0, 1, ...; the weight of a new margin is
    `smoothness / (1 + t)`. At the beginning of each part the cut-offs are recomputed: the
    `quantile`, at least `min_cutoff`, of the margins of the examples on which i and j last agreed.
    Before the first time, the unlabelled loss is 0. Labelled examples train all three heads, by
    the sum of their losses.

    Gradients with respect to the strong views and the labelled one. Outputs `[n, C]`, C at least
    2. (The authors' code stops recomputing cut-offs at the first class without an agreed example,
    so later classes keep old ones, and it updates the mask's running means twice a step; here all
    classes are recomputed, and the means updated once. It evaluates the mean of the three heads'
    logits; a run here evaluates the task's own head.)

    Attributes:
      hard: weight of the hard examples.
      quantile: fraction of the agreed examples' margins that lies below a cut-off.
      min_cutoff: lower bound of a cut-off; None disables it, as in some of the authors' runs.
      smoothness: weight of a new margin in the first part of training.
      epochs: parts of training.
      mask: of each head's own predictions.
      weight: of the unlabelled loss.

    Raises:
      BadInput: for a setting out of range.

    Reference: Sirbu et al., MultiMatch, EMNLP 2025, pseudo-label weighting module
      (https://arxiv.org/abs/2506.07801); margins: Sosea and Caragea, MarginMatch, CVPR 2023.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.MultiMatch(mask=consistency.ConfidenceThreshold()).aux_heads(10)
      {'second': AuxHead(outputs=10, hidden=0), 'third': AuxHead(outputs=10, hidden=0)}
    """

    hard: float = 3.0
    quantile: float = 0.05
    min_cutoff: float | None = 0.0
    smoothness: float = 0.997
    epochs: int = 100
    mask: Mask = MASK
    weight: float = 3.0

    target_types = MULTICLASS
    views = ("labelled", "weak", "strong")

    def __post_init__(self):
        require_number(self, hard=(0.0, math.inf), weight=(0.0, math.inf))
        require_number(self, quantile=(0.0, 1.0), smoothness=(0.0, 1.0))
        require_int(self, epochs=1)
        if self.min_cutoff is not None:
            require_number(self, min_cutoff=(-math.inf, math.inf))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """Two more classification heads."""
        return {name: AuxHead(num_classes) for name in HEADS[1:]}

    def init(self, sizes: DatasetSizes) -> MultiMatchState:
        """Returns the initial state."""
        return MultiMatchState(
            tuple(self.mask.init(sizes) for _ in HEADS),
            init_margins(len(HEADS), sizes.num_unlabelled, sizes.num_classes),
            jnp.zeros((len(HEADS), sizes.num_classes), float),
            jnp.zeros((), jnp.int32),
        )

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Sum `[]` of the three heads' mean losses over the labelled examples."""
        logits = head_logits(views, "labelled")
        return sum_arrays(masked_mean(loss, z, views.labels, views.mask) for z in logits)

    def update(self, views: AuxInputs, state: MultiMatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        weak = jax.lax.stop_gradient(jnp.stack(head_logits(views, "weak")))
        epoch = jnp.floor(views.progress * self.epochs).astype(jnp.int32)
        cutoff = self.update_cutoffs(state, epoch > state.epoch)
        rate = self.smoothness / (1.0 + epoch.astype(cutoff.dtype))
        margins = update_margins(state.margins, weak, views.unlabelled_index, rate)
        in_mask, masks = self.apply_masks(weak, views, state.masks)
        labels = weak.argmax(-1)
        margin = margins.mean[:, views.unlabelled_index]
        margin = jnp.take_along_axis(margin, labels[..., None], -1)[..., 0]
        losses, used, hard_used = [], [], []
        for head, logits in enumerate(head_logits(views, "strong")):
            label, easy, hard = pseudo_label_for_head(labels, margin, in_mask, cutoff, head)
            weights = self.hard * hard.astype(logits.dtype) + easy.astype(logits.dtype)
            weights = jnp.where(epoch > 0, weights, 0.0)
            losses.append(jnp.where(weights > 0, weights * cross_entropy(logits, label), 0.0))
            used.append(weights > 0)
            hard_used.append(hard & (epoch > 0))
        rates = (jnp.stack(rows).astype(weak.dtype).mean() for rows in (used, hard_used))
        metrics = dict(zip(("mask_rate", "hard_rate"), rates, strict=True))
        state = MultiMatchState(masks, margins, cutoff, epoch)
        return AuxUpdate(sum_arrays(losses) / len(HEADS), state, metrics)

    def update_cutoffs(self, state: MultiMatchState, due: jax.Array) -> jax.Array:
        """The cut-offs `[3, C]`, recomputed if due.

        A loop of zero or one iterations: under vmap over seeds a `cond` would sort all margins at
        every step, while a loop that no seed enters costs nothing.
        """
        done = jnp.zeros_like(due)

        def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            # Depends on the carry, or the compiler hoists the computation out of the loop.
            margins, _ = jax.lax.optimization_barrier((state.margins, carry))
            return done, self.cutoffs(margins).astype(carry[1].dtype)

        return jax.lax.while_loop(lambda carry: carry[0], body, (due, state.cutoff))[1]

    def cutoffs(self, margins: Margins) -> jax.Array:
        """Cut-offs `[3, C]` for the labels of each head, from the predictions of the other two."""
        cutoffs = jnp.stack([margin_quantiles(margins, i, j, self.quantile) for i, j in OTHERS])
        return cutoffs if self.min_cutoff is None else jnp.maximum(cutoffs, self.min_cutoff)

    def apply_masks(
        self, weak: jax.Array, views: AuxInputs, states: tuple[Tree, ...]
    ) -> tuple[jax.Array, tuple[Tree, ...]]:
        """Whether each head's prediction is in its mask, bool `[3, U]`, and the next states."""
        log_probs = jax.nn.log_softmax(weak)
        results = [
            self.mask.update(Prediction(head, head), views, state)
            for head, state in zip(log_probs, states, strict=True)
        ]
        in_mask = jnp.stack([weights.astype(bool) for weights, *_ in results])
        return in_mask, tuple(state for _, state, _ in results)


class HeadLabels(NamedTuple):
    """Pseudo-labels of one head, `[U]` each."""

    labels: jax.Array
    easy: jax.Array  # bool
    hard: jax.Array  # bool


def pseudo_label_for_head(
    labels: jax.Array, margin: jax.Array, in_mask: jax.Array, cutoff: jax.Array, head: int
) -> HeadLabels:
    """Pseudo-labels of a head from the other two.

    Args:
      labels: predictions of all heads, `[3, U]`.
      margin: running margins of those classes, `[3, U]`.
      in_mask: whether they are in their masks, `[3, U]`.
      cutoff: `[3, C]`.
      head: the head that receives the labels.
    """
    i, j = OTHERS[head]
    first, second = (margin[k] >= cutoff[head][labels[k]] for k in (i, j))
    confident = in_mask[i] | in_mask[j]
    easy = confident & first & second & (labels[i] == labels[j])
    labels = jnp.where(first, labels[i], labels[j])
    return HeadLabels(labels, easy, confident & (first ^ second))


def head_logits(views: AuxInputs, view: View) -> list[jax.Array]:
    """Logits `[n, C]` of the three heads for a view."""
    return [views.outputs(view, name) for name in HEADS]
