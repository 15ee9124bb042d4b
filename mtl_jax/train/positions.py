"""Auxiliary inputs of dense tasks, whose examples are pixels or tokens."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.features import Shape, Tokens, features_at, positions_of
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.masked import known_entries


def flatten_positions(task: str, inputs: AuxInputs, features: dict[str, Any]) -> AuxInputs:
    """Inputs in which every position of an example is an example; unchanged without positions.

    Outputs `[n, *P, C]` become `[n |P|, C]`, and labels, masks and indices follow. An auxiliary
    head without positions, and what a view has of each example, are repeated; features are
    those of the position, resized where the trunk's map is smaller. A label is known at the
    positions where it is not missing. In place of padding the tokens of an example are repeated
    (`token_sources`), so that losses, statistics and states are of tokens alone.

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
    mask = mask.any(tuple(range(1 + len(shape), mask.ndim)))
    sources = {
        view: token_sources(each.mask > 0, mask if view == "labelled" else None)
        for view, each in features.items()
        if isinstance(each, Tokens) and each.mask.shape[1:] == shape
    }
    unlabelled = [each for view, each in sources.items() if view != "labelled"]

    def flatten(view: str, array: jax.Array) -> jax.Array:
        # Stored predictions have no features: their tokens are those of any view of the examples.
        same = (each for each in unlabelled if len(each) == len(array))
        return flatten_outputs(array, shape, sources.get(view, next(same, None)))

    return inputs._replace(
        logits={view: flatten(view, each) for view, each in inputs.logits.items()},
        labels=inputs.labels.reshape(-1, *inputs.labels.shape[1 + len(shape) :]),
        mask=mask.reshape(-1),
        unlabelled_index=flatten_index(inputs.unlabelled_index, shape),
        labelled_index=flatten_index(inputs.labelled_index, shape),
        heads={
            head: {view: flatten(view, each) for view, each in by_view.items()}
            for head, by_view in inputs.heads.items()
        },
        view_params={
            view: flatten_params(each, shape) for view, each in inputs.view_params.items()
        },
        features={view: flatten(view, features_at(each, shape)) for view, each in features.items()},
    )


def token_sources(is_token: jax.Array, known: jax.Array | None = None) -> jax.Array:
    """Indices `[n, T]`: each token's own, and in place of padding those of the tokens in turn.

    So padding adds nothing, and every example counts the same.

    Args:
      is_token: bool `[n, T]`, False at padding.
      known: bool `[n, T]`, further positions that keep their own index.
    """
    is_token = is_token if known is None else is_token | known
    order = jnp.argsort(~is_token, axis=1, stable=True)
    count = jnp.maximum(is_token.sum(1, keepdims=True), 1)
    repeated = jnp.take_along_axis(order, (jnp.cumsum(~is_token, 1) - 1) % count, 1)
    return jnp.where(is_token, jnp.arange(is_token.shape[1])[None], repeated)


def flatten_outputs(array: jax.Array, shape: Shape, sources: jax.Array | None) -> jax.Array:
    """Values `[n |P|, D]` from `[n, *P, D]`, or from `[n, D]` by repetition.

    Args:
      array: the values.
      shape: P.
      sources: the indices `[n, T]` of the tokens to take, or None to take each.
    """
    if array.ndim == 2:
        return jnp.repeat(array, math.prod(shape), 0)
    if sources is not None:
        array = jnp.take_along_axis(array, sources[..., None], 1)
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
