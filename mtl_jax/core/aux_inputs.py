"""Inputs of auxiliary losses, and dataset sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.core.views import View, view_key


class AuxInputs(NamedTuple):
    """Inputs of one task's auxiliary loss; views are keyed by `view_key`."""

    logits: dict[str, jax.Array]  # by view, [n, ..., C]
    labels: jax.Array  # [B, ...]
    mask: jax.Array  # [B], whether the label (of a vector, any entry; others NaN) is known
    unlabelled_index: jax.Array  # [U], indices in the unlabelled pool
    labelled_index: jax.Array  # [B], indices among the labelled examples
    heads: dict[str, dict[str, jax.Array]]  # by auxiliary head and view
    view_params: dict[str, Any]  # by view, its random parameters
    progress: jax.Array  # [], fraction of the run's steps done, in [0, 1)
    key: jax.Array  # random key of this step and task
    features: dict[str, jax.Array] | None = None  # by view, inputs of the head, [n, D]
    feature_maps: dict[str, dict[str, jax.Array]] | None = None  # by view and layer, [n, ..., C]
    # Applies a head by name to other inputs: an auxiliary head, or "" for the task's head.
    apply_head: Callable[[str, jax.Array], jax.Array] | None = None
    precomputed: Any = None  # result of `precompute`

    def outputs(self, view: View, head: str | None = None) -> jax.Array:
        """Outputs for a view, of the task's head or of an auxiliary head."""
        outputs = self.logits if head is None else self.heads[head]
        return outputs[view_key(view)]


class DatasetSizes(NamedTuple):
    """Sizes that the state of an auxiliary loss may depend on."""

    num_classes: int  # C, outputs of the task
    num_unlabelled: int  # N, examples in the unlabelled pool
    num_labelled: int  # L, labelled examples
