"""Auxiliary inputs of dense tasks, whose examples are pixels or tokens."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.features import Shape, features_at, positions_of
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.masked import known_entries


def flatten_positions(task: str, inputs: AuxInputs, features: dict[str, Any]) -> AuxInputs:
    """Inputs in which every position of an example is an example; unchanged without positions.

    Outputs `[n, *P, C]` become `[n |P|, C]`, and labels, masks and indices follow. An auxiliary
    head without positions, and what a view has of each example, are repeated; features are
    those of the position, resized where the trunk's map is smaller. A label is known at the
    positions where it is not missing.

    Args:
      task: name of the task, for errors.
      inputs: inputs by example.
      features: the features of the trunk by view.

    Raises:
      BadInput: at trace time, for a dict of outputs.
    """
    outputs = next(iter(inputs.logits.values()))
    if isinstance(outputs, dict):
        raise BadInput(
            f"task {task!r}: its auxiliary loss needs outputs that are one array, not a dict"
        )
    shape = positions_of(outputs)
    if not shape:
        return inputs
    mask = known_entries(inputs.labels, inputs.mask)
    extra = tuple(range(1 + len(shape), mask.ndim))
    return inputs._replace(
        logits={view: flatten(each, shape) for view, each in inputs.logits.items()},
        labels=inputs.labels.reshape(-1, *inputs.labels.shape[1 + len(shape) :]),
        mask=mask.any(extra).reshape(-1),
        unlabelled_index=flatten_index(inputs.unlabelled_index, shape),
        labelled_index=flatten_index(inputs.labelled_index, shape),
        heads={
            head: {view: flatten(each, shape) for view, each in by_view.items()}
            for head, by_view in inputs.heads.items()
        },
        view_params={
            view: flatten_params(each, shape) for view, each in inputs.view_params.items()
        },
        features={
            view: flatten(features_at(each, shape), shape) for view, each in features.items()
        },
    )


def flatten(array: jax.Array, shape: Shape) -> jax.Array:
    """Values `[n |P|, D]` from `[n, *P, D]`, or from `[n, D]` by repetition."""
    if array.ndim == 2:
        return jnp.repeat(array, math.prod(shape), 0)
    return array.reshape(-1, array.shape[-1])


def flatten_index(index: jax.Array, shape: Shape) -> jax.Array:
    """Indices `[n |P|]` of the positions of examples at indices `[n]`."""
    size = math.prod(shape)
    return (index[:, None] * size + jnp.arange(size, dtype=index.dtype)[None]).reshape(-1)


def flatten_params(params: Any, shape: Shape) -> Any:
    """Random parameters of a view by position, from those by example."""
    size = math.prod(shape)
    if not isinstance(params, MixParams):
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, size, 0), params)
    partner = flatten_index(params.partner, shape)
    return MixParams(partner, params.ratio_at(shape).reshape(-1))
