"""MultiLabel: a multiclass method for multi-label targets, as one binary problem per label."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.consistency.recipes import FixMatch
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxiliaryWrapper, AuxUpdate, require_method
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require
from mtl_jax.core.views import AdversarialView
from mtl_jax.losses.masked import known_entries

FIXMATCH = FixMatch()


@dataclasses.dataclass(frozen=True)
class MultiLabel(AuxiliaryWrapper):
    """Applies another method to multi-label outputs, once for each of L labels.

    For label l of the logits `[n, ..., L]`, the method receives the logits `(0, z_l)` of two
    classes, whose `softmax` is `sigmoid(z_l)`; the loss is the mean over labels. The state of the
    method, thresholds and counts included, is kept per label: a leading axis L. Labels are 0, 1
    or NaN where missing, `[B, ..., L]`, or `[B, ...]` when L is 1; each label has its own key,
    and all share the remaining inputs.

    Attributes:
      method: for multiclass targets, without its own labelled loss, heads or precomputation.

    Raises:
      BadInput: for a method that has one of them, that is not for multiclass targets, or that
        requests an adversarial view of them.

    Reference: the reduction of many labels to pairs of classes ("binary relevance"),
      Tsoumakas and Katakis, Multi-Label Classification: An Overview, IJDWM 2007
      (https://doi.org/10.4018/jdwm.2007070101).

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.MultiLabel(consistency.FreeMatch())
      >>> method.target_types
      ('binary', 'multilabel')
      >>> method.init(DatasetSizes(5, 1000, 40)).mask.probabilities.shape
      (5, 2)
    """

    method: AuxiliaryLoss = FIXMATCH

    target_types = ("binary", "multilabel")

    def __post_init__(self):
        method = self.method
        require_method(self)
        valid = not (method.has_labelled_loss or method.has_precompute or method.aux_heads(2))
        rule = "must have no labelled loss, heads or precomputation of its own"
        require(valid, self, "method", rule, method)
        rule = "must be a method for classes"
        require("multiclass" in method.target_types, self, "method", rule, method)
        # It would search for a direction of the softmax over all labels.
        valid = not any(
            isinstance(v, AdversarialView) and v.target_type == "multiclass" for v in method.views
        )
        require(valid, self, "method", "must not ask for an adversary of classes", method)

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the method's initial state, repeated L times."""
        state = self.method.init(sizes._replace(num_classes=2))
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (sizes.num_classes, *leaf.shape)), state
        )

    def update(self, views: AuxInputs, state: Tree) -> AuxUpdate:
        """Maps views to the mean loss over labels `[n]`, the next state and mean metrics."""
        logits = {name: label_axis_first(z) for name, z in views.logits.items()}
        num_labels = next(iter(logits.values())).shape[0]
        labels, mask = binary_labels(views, num_labels)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(views.key, jnp.arange(num_labels))

        def update_label(logits, labels, mask, key, state):
            logits = {name: jnp.stack([jnp.zeros_like(z), z], -1) for name, z in logits.items()}
            inputs = views._replace(logits=logits, labels=labels, mask=mask, key=key)
            return self.method.update(inputs, state)

        loss, state, metrics = jax.vmap(update_label)(logits, labels, mask, keys, state)
        return AuxUpdate(
            loss.mean(0), state, {name: value.mean() for name, value in metrics.items()}
        )


def label_axis_first(array: jax.Array) -> jax.Array:
    """`[n, ..., L]` as `[L, n, ...]`."""
    return jnp.moveaxis(array, -1, 0)


def binary_labels(views: AuxInputs, num_labels: int) -> tuple[jax.Array, jax.Array]:
    """Classes 0 and 1, -1 where missing, `[L, B, ...]`, and examples with any label `[L, B]`."""
    labels = views.labels
    if num_labels == 1 and labels.ndim == next(iter(views.logits.values())).ndim - 1:
        labels = labels[..., None]
    known = known_entries(labels, views.mask)
    classes = jnp.where(known, labels, -1).astype(jnp.int32)
    classes, known = label_axis_first(classes), label_axis_first(known)
    return classes, known.reshape(*known.shape[:2], -1).any(-1)
