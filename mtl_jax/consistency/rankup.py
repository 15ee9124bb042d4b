"""RankUp: a classifier of which of two targets is larger is trained on unlabelled pairs."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import CONTINUOUS
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.masked import known_entries, masked_mean

OWN = ("labelled", "weak", "strong")


@dataclasses.dataclass(frozen=True)
class RankUp(AuxiliaryLoss):
    """RankUp: regression, with an auxiliary classifier of the order of pairs.

    An auxiliary head has two logits h for each target; a pair (i, j) has the logits `h_i - h_j`.
    Labelled pairs have targets `(1, 0)`, `(1/2, 1/2)` or `(0, 1)` where y_i is larger than,
    equal to or smaller than y_j, and `share` times their mean cross-entropy is added to the task's
    loss. Unlabelled pairs are as in FixMatch: a confident order on the weak view is the label of
    the strong one; the loss of example i is the mean over all its U pairs (including the pair
    with itself, which is never confident). A pair with a missing target does not count.

    No gradient of these losses with respect to the weak view, nor from pairs with respect to the
    task's head. One target, or D of them, per example: `[B]` or `[B, D]`.

    Attributes:
      share: weight of both losses of pairs.
      threshold: confidence from which a predicted order counts.
      weight: of the whole unlabelled loss.
      regression_method: consistency method for the unlabelled outputs themselves, such as `RDA()`.

    Raises:
      BadInput: for a number out of range, or a `regression_method` that is not for continuous
        targets or has its own labelled loss or heads.

    Reference: Huang et al., RankUp, NeurIPS 2024, auxiliary ranking classifier
      (https://arxiv.org/abs/2410.22124).
    """

    share: float = 0.2
    threshold: float = 0.95
    weight: float = 1.0
    regression_method: AuxiliaryLoss | None = None

    target_types = CONTINUOUS

    def __post_init__(self):
        above = (0.0, math.inf)
        require_number(self, share=above, threshold=(0.0, 1.0), weight=above)
        other = self.regression_method
        fine = other is None or is_plain(other)
        rule = "must be None, or a method for continuous targets that needs no more than views"
        require(fine, self, "regression_method", rule, other)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        more = () if self.regression_method is None else self.regression_method.views
        return tuple(dict.fromkeys((*OWN, *more)))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """The ranking classifier: two logits for each target."""
        return {"rank": AuxHead(2 * num_classes)}

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state of `regression_method`."""
        return () if self.regression_method is None else self.regression_method.init(sizes)

    def update(self, views: AuxInputs, state: Any) -> tuple[jax.Array, Any, dict]:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        guess = jax.nn.log_softmax(pairs(jax.lax.stop_gradient(views.outputs("weak", "rank"))))
        mask = jnp.exp(guess.max(-1)) >= self.threshold
        targets = jax.nn.one_hot(guess.argmax(-1), 2, dtype=guess.dtype)
        each = soft_cross_entropy(pairs(views.outputs("strong", "rank")), targets)
        loss = self.share * by_example(jnp.where(mask, each, 0.0))
        metrics = {"mask_rate": mask.astype(each.dtype).mean()}
        if self.regression_method is not None:
            more, state, _ = self.regression_method.update(views, state)
            loss = loss + self.regression_method.weight * more
        return loss, state, metrics

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Any) -> jax.Array:
        """The task's mean loss plus `share` times that of the labelled pairs, `[]`."""
        own = masked_mean(loss, views.outputs("labelled"), views.labels, views.mask)
        logits = pairs(views.outputs("labelled", "rank"))
        there = known_entries(views.labels, views.mask)
        labels = jnp.where(there, views.labels, 0).astype(logits.dtype)
        labels, there = (array.reshape(len(labels), -1) for array in (labels, there))
        first = 0.5 + 0.5 * jnp.sign(labels[:, None] - labels[None])
        each = soft_cross_entropy(logits, jnp.stack([first, 1.0 - first], -1))
        both = there[:, None] & there[None]
        # In pairs of examples, each of which is D pairs of targets.
        count = jnp.maximum(both.sum().astype(each.dtype), 1.0) / labels.shape[1]
        return own + self.share * jnp.where(both, each, 0.0).mean(-1).sum() / count


def pairs(logits: jax.Array) -> jax.Array:
    """Logits `[n, 2 D]` to those of all pairs, `h_i - h_j`, `[n, n, D, 2]`."""
    each = logits.reshape(len(logits), -1, 2)
    return each[:, None] - each[None]


def is_plain(method: AuxiliaryLoss) -> bool:
    """Whether a method is for continuous targets and requires only views and a state."""
    more = (method.has_labelled_loss, method.has_precompute, method.needs_feature_maps)
    own = any(more) or method.needs_two_branches or bool(method.aux_heads(1))
    return "continuous" in method.target_types and not own
