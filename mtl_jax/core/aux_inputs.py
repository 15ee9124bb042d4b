"""What a method of a task sees in a step, and how much data there is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.core.views import View, name_of


class Views(NamedTuple):
    """What one task's consistency method sees: outputs for its views, named by `name_of`."""

    logits: dict[str, jax.Array]  # by view, [n, ..., C]
    labels: jax.Array  # [B, ...]
    mask: jax.Array  # [B], whether the label is there, of a vector any entry (others are NaN)
    index: jax.Array  # [U], where in the unlabelled pool
    labelled_index: jax.Array  # [B], where among the labelled examples
    heads: dict[str, dict[str, jax.Array]]  # of the method's own heads, by view
    drawn: dict[str, Any]  # by view, what was drawn to make it
    progress: jax.Array  # [], share of the run's steps that are done, in [0, 1)
    key: jax.Array  # of this step and task
    features: dict[str, jax.Array] | None = None  # by view, what the task's head reads, [n, D]
    maps: dict[str, dict[str, jax.Array]] | None = None  # by view and layer, [n, ..., C]
    # Applies a head by name to what a method made: its own, or with "" the task's.
    call: Callable[[str, jax.Array], jax.Array] | None = None
    opened: Any = None  # what the method's `begin` said before the first step

    def of(self, view: View, head: str | None = None) -> jax.Array:
        """Outputs for a view, of the task's head or of one of the method's own."""
        outputs = self.logits if head is None else self.heads[head]
        return outputs[name_of(view)]


class Sizes(NamedTuple):
    """How much there is of what a consistency method may keep a state of."""

    classes: int  # C, outputs of the task
    unlabelled: int  # N, examples in the unlabelled pool
    labelled: int  # L, labelled examples
