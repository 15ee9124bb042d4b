"""Several labels that an image may have at once: each is a problem of two classes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.recipes import FixMatch
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.protocols import Consistency
from mtl_jax.core.validation import require
from mtl_jax.core.views import Adversarial, View
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import types_of

FIXMATCH = FixMatch()


@dataclasses.dataclass(frozen=True)
class PerLabel:
    """Another method, for outputs that are yes or no: once for each of L labels.

    With logits `[n, ..., L]` the method sees, for label l, logits `(0, z_l)` of two classes, so
    that `softmax` of them is `sigmoid(z_l)`, and the loss is the mean over labels. What it
    keeps, thresholds and counts too, it keeps for each label: a leading axis L. Labels are 0, 1
    or NaN where missing, `[B, ..., L]`, or `[B, ...]` when L is 1; each label has a key of its
    own, and all share the rest of what is seen.

    Attributes:
      method: for classes; one without a labelled loss, heads or an opening of its own.

    Raises:
      BadInput: for a method that has one of them, that is not for classes, or that asks for an
        adversary of classes.

    Reference: the reduction of many labels to pairs of classes ("binary relevance"),
      Tsoumakas and Katakis, Multi-Label Classification: An Overview, IJDWM 2007
      (https://doi.org/10.4018/jdwm.2007070101).
    """

    method: Consistency = FIXMATCH

    target_types = ("binary", "multilabel")

    def __post_init__(self):
        method = self.method
        for own in ("supervised", "heads", "begin"):
            rule = f"must be a method without `{own}` of its own"
            require(not hasattr(method, own), self, "method", rule, method)
        require(
            "multiclass" in types_of(method), self, "method", "must be a method for classes", method
        )
        # It would look for a direction of the softmax over all labels.
        fine = not any(
            isinstance(v, Adversarial) and v.target_type == "multiclass" for v in method.views
        )
        require(fine, self, "method", "must not ask for an adversary of classes", method)

    @property
    def weight(self) -> float:
        """Of the unlabelled loss."""
        return self.method.weight

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return self.method.views

    def init(self, sizes: Sizes) -> Any:
        """State before the first step: the method's, L times."""
        one = self.method.init(sizes._replace(classes=2))
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (sizes.classes, *leaf.shape)), one)

    def warm(self, state: Any) -> Any:
        """The state after a warm-up, if the method has one."""
        return jax.vmap(self.method.warm)(state) if hasattr(self.method, "warm") else state

    def update(self, views: Views, state: Any) -> tuple:
        """Maps views to the mean loss over labels `[n]`, the next state, and mean metrics."""
        logits = {name: of_label_first(z) for name, z in views.logits.items()}
        count = next(iter(logits.values())).shape[0]
        labels, mask = each_label(views, count)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(views.key, jnp.arange(count))

        def one(logits, labels, mask, key, state):
            logits = {name: jnp.stack([jnp.zeros_like(z), z], -1) for name, z in logits.items()}
            own = views._replace(logits=logits, labels=labels, mask=mask, key=key)
            return self.method.update(own, state)

        loss, state, metrics = jax.vmap(one)(logits, labels, mask, keys, state)
        return loss.mean(0), state, {name: value.mean() for name, value in metrics.items()}


def of_label_first(array: jax.Array) -> jax.Array:
    """`[n, ..., L]` as `[L, n, ...]`."""
    return jnp.moveaxis(array, -1, 0)


def each_label(views: Views, count: int) -> tuple[jax.Array, jax.Array]:
    """Classes 0 and 1, -1 where missing, `[L, B, ...]`, and the examples with any `[L, B]`."""
    labels = views.labels
    if count == 1 and labels.ndim == next(iter(views.logits.values())).ndim - 1:
        labels = labels[..., None]
    there = known_entries(labels, views.mask)
    classes = jnp.where(there, labels, -1).astype(jnp.int32)
    classes, there = of_label_first(classes), of_label_first(there)
    return classes, there.reshape(*there.shape[:2], -1).any(-1)
