"""RankUp: a classifier of which of two targets is larger is trained on unlabelled pairs."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import CONTINUOUS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.masked import known_entries, masked_mean

VIEWS = ("labelled", "weak", "strong")


@dataclasses.dataclass(frozen=True)
class RankUp(AuxiliaryLoss):
    """RankUp: regression, with an auxiliary classifier of the order of pairs.

    An auxiliary head has two logits h for each target; a pair (i, j) has the logits `h_i - h_j`.
    Labelled pairs have targets `(1, 0)`, `(1/2, 1/2)` or `(0, 1)` where y_i is larger than,
    equal to or smaller than y_j, and `arc_weight` times their mean cross-entropy is added to the task's
    loss. Unlabelled pairs are as in FixMatch: a confident order on the weak view is the label of
    the strong one; the loss of example i is the mean over all its U pairs (including the pair
    with itself, which is never confident). A pair with a missing target does not count.

    No gradient of these losses with respect to the weak view, nor from pairs with respect to the
    task's head. One target, or D of them, per example: `[B]` or `[B, D]`.

    Attributes:
      arc_weight: weight of both losses of pairs.
      threshold: confidence from which a predicted order counts.
      weight: of the whole unlabelled loss.
      regression_method: consistency method for the unlabelled outputs themselves, such as `RDA()`.

    Raises:
      BadInput: for a number out of range, or a `regression_method` that is not for continuous
        targets or has its own labelled loss or heads.

    Reference: Huang et al., RankUp, NeurIPS 2024, auxiliary ranking classifier
      (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.RankUp(regression_method=consistency.MeanTeacherRegression())
      >>> method.aux_heads(1)
      {'rank': AuxHead(outputs=2, hidden=0)}
      >>> method.views[-1]
      'weak2'
    """

    arc_weight: float = 0.2
    threshold: float = 0.95
    weight: float = 1.0
    regression_method: AuxiliaryLoss | None = None

    target_types = CONTINUOUS

    def __post_init__(self):
        nonnegative = (0.0, math.inf)
        require_number(self, arc_weight=nonnegative, threshold=(0.0, 1.0), weight=nonnegative)
        method = self.regression_method
        valid = method is None or needs_only_views(method)
        rule = "must be None, or a method for continuous targets that needs no more than views"
        require(valid, self, "regression_method", rule, method)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        method = self.regression_method
        return tuple(dict.fromkeys((*VIEWS, *(() if method is None else method.views))))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """The ranking classifier: two logits for each target."""
        return {"rank": AuxHead(2 * num_classes)}

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state of `regression_method`."""
        return () if self.regression_method is None else self.regression_method.init(sizes)

    def update(self, views: AuxInputs, state: Tree) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        weak = pairwise_logits(jax.lax.stop_gradient(views.outputs("weak", "rank")))
        log_probs = jax.nn.log_softmax(weak)
        mask = jnp.exp(log_probs.max(-1)) >= self.threshold
        targets = jax.nn.one_hot(log_probs.argmax(-1), 2, dtype=log_probs.dtype)
        losses = soft_cross_entropy(pairwise_logits(views.outputs("strong", "rank")), targets)
        loss = self.arc_weight * per_example_mean(jnp.where(mask, losses, 0.0))
        metrics = {"mask_rate": mask.astype(losses.dtype).mean()}
        if self.regression_method is not None:
            regression_loss, state, _ = self.regression_method.update(views, state)
            loss = loss + self.regression_method.weight * regression_loss
        return AuxUpdate(loss, state, metrics)

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """The task's mean loss plus `arc_weight` times that of the labelled pairs, `[]`."""
        task_loss = masked_mean(loss, views.outputs("labelled"), views.labels, views.mask)
        logits = pairwise_logits(views.outputs("labelled", "rank"))
        known = known_entries(views.labels, views.mask)
        labels = jnp.where(known, views.labels, 0).astype(logits.dtype)
        labels, known = (array.reshape(len(labels), -1) for array in (labels, known))
        first = 0.5 + 0.5 * jnp.sign(labels[:, None] - labels[None])
        losses = soft_cross_entropy(logits, jnp.stack([first, 1.0 - first], -1))
        known_pairs = known[:, None] & known[None]
        # In pairs of examples, each of which is D pairs of targets.
        count = jnp.maximum(known_pairs.sum().astype(losses.dtype), 1.0) / labels.shape[1]
        return (
            task_loss + self.arc_weight * jnp.where(known_pairs, losses, 0.0).mean(-1).sum() / count
        )


def pairwise_logits(logits: jax.Array) -> jax.Array:
    """Logits `[n, 2 D]` to those of all pairs, `h_i - h_j`, `[n, n, D, 2]`."""
    logits = logits.reshape(len(logits), -1, 2)
    return logits[:, None] - logits[None]


def needs_only_views(method: AuxiliaryLoss) -> bool:
    """Whether a method is for continuous targets and requires only views and a state."""
    needs = (method.has_labelled_loss, method.has_precompute, method.needs_feature_maps)
    needs_more = any(needs) or method.needs_two_branches or bool(method.aux_heads(1))
    return "continuous" in method.target_types and not needs_more
