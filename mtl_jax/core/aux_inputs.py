"""Inputs of auxiliary losses, and dataset sizes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from mtl_jax.core.views import View, view_key


class AuxInputs(NamedTuple):
    """Inputs of one task's auxiliary loss; views are keyed by `view_key`."""

    logits: dict[str, jax.Array]  # by view, [n, ..., C]
    labels: jax.Array  # [B, ...]
    mask: jax.Array  # [B], whether the label (of a vector, any entry; others NaN) is known
    unlabelled_index: jax.Array  # [U], indices in the unlabelled pool; U = 0 if none is used
    labelled_index: jax.Array  # [B], indices among the labelled examples
    heads: dict[str, dict[str, jax.Array]]  # by auxiliary head and view
    view_params: dict[str, Any]  # by view, its random parameters
    progress: jax.Array  # [], fraction of the run's steps done, in [0, 1)
    key: jax.Array  # random key of this step and task
    features: Mapping[str, jax.Array] = {}  # by view, inputs of the head, [n, D]
    feature_maps: Mapping[str, dict[str, jax.Array]] = {}  # by view and layer, [n, ..., C]
    # Maps the name of a head and its inputs to its outputs; see `apply_head`.
    head_fn: Callable[[str, jax.Array], jax.Array] | None = None
    precomputed: Any = None  # result of `precompute`

    def outputs(self, view: View, head: str | None = None) -> jax.Array:
        """Outputs for a view, of the task's head or of an auxiliary head."""
        outputs = self.logits if head is None else self.heads[head]
        return outputs[view_key(view)]

    def apply_head(self, head: str, inputs: jax.Array) -> jax.Array:
        """Applies an auxiliary head, or with "" the task's head, to inputs `[n, D]`.

        Raises:
          ValueError: without `head_fn`.
        """
        if self.head_fn is None:
            raise ValueError(f"AuxInputs.head_fn must be given to apply the head {head!r}")
        return self.head_fn(head, inputs)


class DatasetSizes(NamedTuple):
    """Sizes that the state of an auxiliary loss may depend on."""

    num_classes: int  # C, outputs of the task
    num_unlabelled: int  # N, examples in the unlabelled pool
    num_labelled: int  # L, labelled examples
