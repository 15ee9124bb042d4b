"""Regression distribution alignment: unlabelled outputs are matched to the label distribution."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import CONTINUOUS
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.losses import squared_error


class RDAState(NamedTuple):
    """Outputs and targets of the pool and the labels seen so far, by index."""

    labels: jax.Array  # [L, D], NaN where one of several is missing
    labelled: jax.Array  # [L], whether the label was seen
    outputs: jax.Array  # [N, D], the last ones
    predicted: jax.Array  # [N], whether there were any
    targets: jax.Array  # [N, D], from the last alignment, NaN without any label
    aligned: jax.Array  # [N], whether there is a target
    step: jax.Array  # [], steps done


@dataclasses.dataclass(frozen=True)
class RDA(AuxiliaryLoss):
    """Regression distribution alignment: the target of an output is the label of the same rank.

    The last outputs for the examples of the pool are kept. Every `every` steps those that were
    seen are sorted, and the one of rank k of n has as its target the quantile `k / (n - 1)` of
    the labels that were seen, interpolated linearly; separately for each of D outputs. Until the
    next alignment, the squared error from that target is the loss of the example, a mean over the
    outputs that have labels; without a target, it is 0. (The authors' code takes outputs that
    were never predicted as 1, and all labels from the start.) No gradient with respect to
    targets. Outputs are `[U, D]`.

    Attributes:
      every: steps between alignments.
      weight: of the mean over all U examples.
      ramp: fraction of training over which the loss grows.

    Raises:
      BadInput: for a setting out of range.

    Reference: Huang et al., RankUp, NeurIPS 2024, regression distribution alignment
      (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> state = consistency.RDA(every=100).init(DatasetSizes(1, 1000, 40))
      >>> state.targets.shape, state.labels.shape
      ((1000, 1), (40, 1))
    """

    every: int = 1024
    weight: float = 1.0
    ramp: float = 0.4

    target_types = CONTINUOUS
    views = ("weak",)

    def __post_init__(self):
        require_int(self, every=1)
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> RDAState:
        """Returns the initial state."""
        labels = jnp.zeros((sizes.num_labelled, sizes.num_classes), float)
        outputs = jnp.zeros((sizes.num_unlabelled, sizes.num_classes), float)
        # Separate arrays: one buffer cannot be donated twice.
        labelled, predicted, aligned = (jnp.zeros(len(a), bool) for a in (labels, outputs, outputs))
        step = jnp.zeros((), jnp.int32)
        return RDAState(
            labels, labelled, outputs, predicted, jnp.zeros_like(outputs), aligned, step
        )

    def update(self, views: AuxInputs, state: RDAState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        outputs, state = views.outputs("weak"), jax.lax.stop_gradient(state)
        state = record_batch(views, jax.lax.stop_gradient(outputs), state)
        state = realign(state, (state.step > 0) & (state.step % self.every == 0))
        index = views.unlabelled_index
        has_target, targets = state.aligned[index], state.targets[index]
        known = has_target[:, None] & ~jnp.isnan(targets)
        targets = jnp.where(known, targets, 0.0).astype(outputs.dtype)
        losses = jnp.where(known, squared_error(outputs[..., None], targets[..., None]), 0.0)
        known_fraction = jnp.where(has_target, known.astype(losses.dtype).mean(1), 1.0)
        loss = losses.mean(1) / jnp.where(known_fraction > 0, known_fraction, 1.0)
        loss = linear_ramp_up(loss, views, self.ramp)
        metrics = {"mask_rate": has_target.astype(losses.dtype).mean()}
        return AuxUpdate(loss, state._replace(step=state.step + 1), metrics)


def record_batch(views: AuxInputs, outputs: jax.Array, state: RDAState) -> RDAState:
    """The state updated with the labels and outputs of this step."""
    labels = views.labels.reshape(len(views.labels), -1).astype(state.labels.dtype)
    label_rows = rows_of(views.labelled_index, views.mask, len(state.labels))
    output_rows = rows_of(
        views.unlabelled_index, jnp.ones(views.unlabelled_index.size, bool), len(state.outputs)
    )
    return state._replace(
        labels=state.labels.at[label_rows].set(labels, mode="drop"),
        labelled=state.labelled.at[label_rows].set(True, mode="drop"),
        outputs=state.outputs.at[output_rows].set(outputs.astype(state.outputs.dtype), mode="drop"),
        predicted=state.predicted.at[output_rows].set(True, mode="drop"),
    )


def realign(state: RDAState, due: jax.Array) -> RDAState:
    """The state with new targets, if an alignment is due and any label was seen."""

    def align(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        # Depends on the carry, so that the compiler cannot hoist the sort out of the loop.
        predicted = state.predicted & carry[0]
        known = state.labelled[:, None] & ~jnp.isnan(state.labels)
        targets = match_columns(state.outputs, predicted, state.labels, known)
        targets = jnp.where(known.any(0)[None], targets, jnp.nan)
        return jnp.zeros_like(due), targets, state.predicted & state.labelled.any()

    match_columns = jax.vmap(match_quantiles, (1, None, 1, 1), 1)
    # A loop of at most one iteration: vmapped over seeds, a `cond` would sort at every step.
    start = (due, state.targets, state.aligned)
    _, targets, aligned = jax.lax.while_loop(lambda carry: carry[0], align, start)
    return state._replace(targets=targets, aligned=aligned)


def match_quantiles(
    outputs: jax.Array, predicted: jax.Array, labels: jax.Array, labelled: jax.Array
) -> jax.Array:
    """Quantiles `[N]` of the labels at the ranks of outputs `[N]`, both among those that count."""
    rank = jnp.argsort(jnp.argsort(jnp.where(predicted, outputs, jnp.inf)))
    max_rank = jnp.maximum(predicted.sum() - 1, 1).astype(outputs.dtype)
    last = jnp.maximum(labelled.sum() - 1, 0)
    position = jnp.minimum(rank.astype(outputs.dtype) / max_rank, 1.0) * last.astype(outputs.dtype)
    sorted_labels = jnp.sort(jnp.where(labelled, labels, jnp.inf))
    sorted_labels = jnp.where(jnp.isfinite(sorted_labels), sorted_labels, 0.0)
    lower = jnp.clip(jnp.floor(position).astype(last.dtype), 0, last)
    fraction = position - lower.astype(position.dtype)
    upper = jnp.minimum(lower + 1, last)
    return (1.0 - fraction) * sorted_labels[lower] + fraction * sorted_labels[upper]
