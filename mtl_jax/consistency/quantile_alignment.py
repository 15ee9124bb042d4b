"""Regression distribution alignment: unlabelled numbers are spread as the labels are."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_count, require_number
from mtl_jax.losses import squared_error
from mtl_jax.losses.target_type import CONTINUOUS


class Ranked(NamedTuple):
    """What is known of the pool and of the labels, by their places."""

    labels: jax.Array  # [L, D], NaN where one of several is missing
    labelled: jax.Array  # [L], whether the label was seen
    outputs: jax.Array  # [N, D], the last ones
    seen: jax.Array  # [N], whether there were any
    targets: jax.Array  # [N, D], as they were aligned the last time, NaN without any label
    aligned: jax.Array  # [N], whether they were
    step: jax.Array  # [], steps done


@dataclasses.dataclass(frozen=True)
class RDA:
    """Regression distribution alignment: an unlabelled number becomes the label of its rank.

    The last outputs for the examples of the pool are kept. Every so many steps those that were
    seen are sorted, and the one of rank k of n has as its target the quantile `k / (n - 1)` of
    the labels that were seen, interpolated linearly; each of D outputs by itself. Until the
    next time, the squared error from that target is the loss of the example, a mean over the
    outputs that have labels; without a target, it is 0. (The authors' code takes numbers that
    were never predicted as 1, and all labels from the start.) No gradient flows into targets.
    Outputs are `[U, D]`.

    Attributes:
      every: steps from one alignment to the next.
      weight: of the mean over all U examples.
      ramp: share of the training over which it grows.

    Raises:
      BadInput: for a setting out of range.

    Reference: Huang et al., RankUp, NeurIPS 2024, regression distribution alignment
      (https://arxiv.org/abs/2410.22124).
    """

    every: int = 1024
    weight: float = 1.0
    ramp: float = 0.4

    target_types = CONTINUOUS
    views = ("weak",)

    def __post_init__(self):
        require_count(self, every=1)
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    def init(self, sizes: Sizes) -> Ranked:
        """State before the first step."""
        labels = jnp.zeros((sizes.labelled, sizes.classes), float)
        outputs = jnp.zeros((sizes.unlabelled, sizes.classes), float)
        # Arrays of their own: one buffer cannot be donated twice.
        known, seen, aligned = (jnp.zeros(len(a), bool) for a in (labels, outputs, outputs))
        step = jnp.zeros((), jnp.int32)
        return Ranked(labels, known, outputs, seen, jnp.zeros_like(outputs), aligned, step)

    def warm(self, state: Ranked) -> Ranked:
        """A state with targets, of 0."""
        return state._replace(aligned=jnp.ones_like(state.aligned))

    def update(self, views: Views, state: Ranked) -> tuple[jax.Array, Ranked, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        outputs, state = views.of("weak"), jax.lax.stop_gradient(state)
        state = remembered(views, jax.lax.stop_gradient(outputs), state)
        state = realigned(state, (state.step > 0) & (state.step % self.every == 0))
        there, targets = state.aligned[views.index], state.targets[views.index]
        known = there[:, None] & ~jnp.isnan(targets)
        targets = jnp.where(known, targets, 0.0).astype(outputs.dtype)
        each = jnp.where(known, squared_error(outputs[..., None], targets[..., None]), 0.0)
        share = jnp.where(there, known.astype(each.dtype).mean(1), 1.0)
        loss = ramped(each.mean(1) / jnp.where(share > 0, share, 1.0), views, self.ramp)
        metrics = {"mask_rate": there.astype(each.dtype).mean()}
        return loss, state._replace(step=state.step + 1), metrics


def remembered(views: Views, outputs: jax.Array, state: Ranked) -> Ranked:
    """The state with the labels and outputs of this step."""
    labels = views.labels.reshape(len(views.labels), -1).astype(state.labels.dtype)
    place = rows_of(views.labelled_index, views.mask, len(state.labels))
    where = rows_of(views.index, jnp.ones(views.index.size, bool), len(state.outputs))
    return state._replace(
        labels=state.labels.at[place].set(labels, mode="drop"),
        labelled=state.labelled.at[place].set(True, mode="drop"),
        outputs=state.outputs.at[where].set(outputs.astype(state.outputs.dtype), mode="drop"),
        seen=state.seen.at[where].set(True, mode="drop"),
    )


def realigned(state: Ranked, now: jax.Array) -> Ranked:
    """The state with new targets, if it is time and any label was seen."""

    def due(carry):
        return carry[0]

    def align(carry):
        # By the carry, so that no compiler takes the sort out of the loop.
        seen = state.seen & carry[0]
        known = state.labelled[:, None] & ~jnp.isnan(state.labels)
        targets = each(state.outputs, seen, state.labels, known)
        targets = jnp.where(known.any(0)[None], targets, jnp.nan)
        return jnp.zeros_like(now), targets, state.seen & state.labelled.any()

    each = jax.vmap(by_rank, (1, None, 1, 1), 1)
    # A loop of at most one round: with seeds side by side, a `cond` would sort at every step.
    start = (now, state.targets, state.aligned)
    _, targets, aligned = jax.lax.while_loop(due, align, start)
    return state._replace(targets=targets, aligned=aligned)


def by_rank(
    outputs: jax.Array, seen: jax.Array, labels: jax.Array, labelled: jax.Array
) -> jax.Array:
    """Labels' quantiles `[N]` by the ranks of outputs `[N]`, both among those that count."""
    rank = jnp.argsort(jnp.argsort(jnp.where(seen, outputs, jnp.inf)))
    most = jnp.maximum(seen.sum() - 1, 1).astype(outputs.dtype)
    last = jnp.maximum(labelled.sum() - 1, 0)
    place = jnp.minimum(rank.astype(outputs.dtype) / most, 1.0) * last.astype(outputs.dtype)
    ordered = jnp.sort(jnp.where(labelled, labels, jnp.inf))
    ordered = jnp.where(jnp.isfinite(ordered), ordered, 0.0)
    low = jnp.clip(jnp.floor(place).astype(last.dtype), 0, last)
    part = place - low.astype(place.dtype)
    return (1.0 - part) * ordered[low] + part * ordered[jnp.minimum(low + 1, last)]
