"""RankUp: a classifier of which of two numbers is larger learns from unlabelled pairs."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import by_example
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.protocols import Consistency
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.masked import known_entries, masked_mean
from mtl_jax.losses.target_type import CONTINUOUS, types_of

OWN = ("labelled", "weak", "strong")


@dataclasses.dataclass(frozen=True)
class RankUp:
    """RankUp: numbers by regression, and their order by a classifier of pairs.

    A head of its own has two logits h for each number; a pair (i, j) has the logits
    `h_i - h_j`. Labelled pairs have targets `(1, 0)`, `(1/2, 1/2)` or `(0, 1)` where y_i is
    larger, equal or smaller than y_j, and `share` times their mean cross-entropy is added to the
    task's loss. Unlabelled pairs are as in FixMatch: a sure order on the weak view is the
    label of the strong one; the loss of example i is the mean over all its U pairs (with
    itself too, which is never sure). A pair of numbers of which one is missing does not count.

    No gradient flows into the weak view by this, nor from pairs into the task's head. One
    number, or D of them, an example: `[B]` or `[B, D]`.

    Attributes:
      share: of both losses of pairs.
      threshold: confidence at which a guessed order counts.
      weight: of all that is unlabelled.
      also: what is done with the unlabelled numbers themselves, such as `RDA()`.

    Raises:
      BadInput: for a number out of range, or a method `also` that is not for numbers or has a
        labelled loss or heads of its own.

    Reference: Huang et al., RankUp, NeurIPS 2024, auxiliary ranking classifier
      (https://arxiv.org/abs/2410.22124).
    """

    share: float = 0.2
    threshold: float = 0.95
    weight: float = 1.0
    also: Consistency | None = None

    target_types = CONTINUOUS

    def __post_init__(self):
        above = (0.0, math.inf)
        require_number(self, share=above, threshold=(0.0, 1.0), weight=above)
        fine = "continuous" in types_of(self.also)
        fine &= not (hasattr(self.also, "heads") or hasattr(self.also, "supervised"))
        rule = "must be None, or a method for numbers without a labelled loss or heads"
        require(fine or self.also is None, self, "also", rule, self.also)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        more = () if self.also is None else self.also.views
        return tuple(dict.fromkeys((*OWN, *more)))

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The ranking classifier: two logits for each number."""
        return {"rank": Head(2 * num_classes)}

    def init(self, sizes: Sizes) -> Any:
        """State before the first step: that of `also`."""
        return () if self.also is None else self.also.init(sizes)

    def warm(self, state: Any) -> Any:
        """The state after a warm-up, if `also` has one."""
        return self.also.warm(state) if hasattr(self.also, "warm") else state

    def update(self, views: Views, state: Any) -> tuple[jax.Array, Any, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        guess = jax.nn.log_softmax(pairs(jax.lax.stop_gradient(views.of("weak", "rank"))))
        mask = jnp.exp(guess.max(-1)) >= self.threshold
        targets = jax.nn.one_hot(guess.argmax(-1), 2, dtype=guess.dtype)
        each = soft_cross_entropy(pairs(views.of("strong", "rank")), targets)
        loss = self.share * by_example(jnp.where(mask, each, 0.0))
        metrics = {"mask_rate": mask.astype(each.dtype).mean()}
        if self.also is not None:
            more, state, _ = self.also.update(views, state)
            loss = loss + self.also.weight * more
        return loss, state, metrics

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """The task's mean loss and `share` times that of the labelled pairs, `[]`."""
        own = masked_mean(loss, views.of("labelled"), views.labels, views.mask)
        logits = pairs(views.of("labelled", "rank"))
        there = known_entries(views.labels, views.mask)
        labels = jnp.where(there, views.labels, 0).astype(logits.dtype)
        labels, there = (array.reshape(len(labels), -1) for array in (labels, there))
        first = 0.5 + 0.5 * jnp.sign(labels[:, None] - labels[None])
        each = soft_cross_entropy(logits, jnp.stack([first, 1.0 - first], -1))
        both = there[:, None] & there[None]
        # In pairs of examples, of which D pairs of numbers make one.
        count = jnp.maximum(both.sum().astype(each.dtype), 1.0) / labels.shape[1]
        return own + self.share * jnp.where(both, each, 0.0).mean(-1).sum() / count


def pairs(logits: jax.Array) -> jax.Array:
    """Logits `[n, 2 D]` as those of all pairs, `h_i - h_j`, `[n, n, D, 2]`."""
    each = logits.reshape(len(logits), -1, 2)
    return each[:, None] - each[None]
