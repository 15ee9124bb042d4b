"""Combines a trunk and one head per task into a `Model`."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.param_rules import ParamRules
from mtl_jax.core.features import positions_of
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.head import Head
from mtl_jax.core.head_key import (
    HeadKey,
    encoder_stats,
    head_stats,
    join_params,
    join_stats,
)
from mtl_jax.core.head_specs import AuxHead, AuxMLP, CrossTaskEmbedding, HeadSpec
from mtl_jax.core.model import Model, features_by_task, undefined, vector_features
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.cross_task_embedding import Embedding
from mtl_jax.nets.decoder import Heads, apply_heads, head_of, init_heads
from mtl_jax.nets.encoder import make_encoder
from mtl_jax.nets.heads import MLPHead


def make_model(
    trunk: Any,
    outputs: Mapping[str, HeadSpec],
    param_rules: ParamRules = (),
    feature_maps: bool = False,
) -> Model:
    """Builds a model from a trunk, shared or one per task, and a head for each task.

    Args:
      trunk: a Linen module `(x [N, ...], train) -> features` shared by all heads; a
        multi-task architecture, i.e. a module with a field `tasks` that returns
        `{task: features}`, whose parameters belong to the tasks if their path begins with "task";
        `PerTaskTrunk`; or a trunk with added parameters, such as `LoRA`.
      outputs: each task's `Head`, or the number of outputs of a linear one, which reads the
        features as vectors (`mtl_jax.core.features`); in addition, under `task/name`, an `AuxHead`
        that reads the features of the task, or an `AuxMLP` that reads the inputs passed to it;
        and a `CrossTaskEmbedding` under any name.
      param_rules: rules for frozen parameters; a BatchNorm with a frozen parameter uses its running
        statistics in training too, and leaves them unchanged.
      feature_maps: whether the encoder also returns the outputs of single layers of the trunk, as
        `EncoderOutput`.

    Returns:
      A `Model` over `{"shared": ..., "tasks": ...}` (see `mtl_jax.core.head_key`).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.MLP((8,)), {"digit": 10, "color": 3})
      >>> images = jax.numpy.zeros((4, 28, 28, 1))
      >>> params, stats = jax.eval_shape(model.init, jax.random.key(0), images)  # Only shapes.
      >>> output, _ = jax.eval_shape(
      ...     lambda *variables: model.apply(*variables, images, train=False), params, stats
      ... )
      >>> output.logits["digit"].shape, output.logits["color"].shape
      ((4, 10), (4, 3))
    """
    heads = {
        name: head_of(spec)
        for name, spec in outputs.items()
        if isinstance(spec, int | Head | AuxHead)
    }
    mlp_specs = {name: spec for name, spec in outputs.items() if isinstance(spec, AuxMLP)}
    sizes = task_sizes(outputs)
    tasks = tuple(sizes)
    init_encoder, encode_inputs = make_encoder(trunk, tasks, param_rules, feature_maps)
    cross_task = cross_task_fns(sizes, outputs)
    decode = functools.partial(apply_heads, heads, param_rules)

    def init(key, x):
        trunk_key, *head_keys = jax.random.split(key, 1 + len(heads))
        params, stats = init_encoder(trunk_key, x)
        features, _ = jax.eval_shape(lambda: encode_inputs(params, stats, x, train=False))
        by_task = features_by_task(features, tasks)
        own, own_stats = init_heads(heads, by_task, head_keys)
        if mlp_specs or cross_task.embed is not undefined:
            vectors = {name: jax.eval_shape(vector_features, f) for name, f in by_task.items()}
            if cross_task.embed is not undefined:
                apply = functools.partial(decode, train=False)
                values, _ = jax.eval_shape(apply, own, own_stats, by_task)
                own |= cross_task.init(jax.random.fold_in(key, 1), values, vectors)
            own |= init_mlp_heads(mlp_specs, vectors, key)
        return join_params(params, own), join_stats(stats, own_stats)

    def encode(params, stats, x, **kwargs):
        features, updated = encode_inputs(params, encoder_stats(stats), x, **kwargs)
        return features, join_stats(updated, head_stats(stats))

    mlp_heads = {name: head_module(spec) for name, spec in mlp_specs.items()}
    apply_head = functools.partial(apply_to_vectors, {**heads, **mlp_heads})
    return Model(init, encode, decode, cross_task.embed, apply_head)


def task_sizes(outputs: Mapping[str, HeadSpec]) -> dict[str, int]:
    """Numbers of outputs of the tasks, which have a linear head or a `Head`."""
    return {
        name: spec if isinstance(spec, int) else spec.num_outputs
        for name, spec in outputs.items()
        if isinstance(spec, int | Head)
    }


def apply_to_vectors(heads: Heads, params: Tree, name: str, x: jax.Array) -> Any:
    """Outputs `[N, C]` of any head for vectors `[N, D]`.

    Raises:
      BadInput: for a head that does not read single vectors.
    """
    head = heads[name]
    if not isinstance(head, Head):
        return head.apply({"params": params[name]}, x)
    if not head.reads_positions:
        raise BadInput(
            f"task {name!r}: its method applies the head to single vectors, which the head "
            f"{to_source(head)} does not read"
        )
    return head.apply({"params": params[name]}, x, train=False)


def init_mlp_heads(
    specs: Mapping[str, AuxMLP], features: Mapping[str, jax.Array], key: jax.Array
) -> dict[str, Any]:
    """Parameters of the heads that do not read features, whose size they may depend on."""
    params = {}
    for name, spec in specs.items():
        width = features[HeadKey.parse(name).task].shape[-1]
        inputs = jnp.zeros((1, spec.input_size or spec.input_multiple * width))
        params[name] = head_module(spec).init(fold_in_name(key, name), inputs)["params"]
    return params


def head_module(spec: AuxMLP) -> MLPHead:
    """The module of a head that does not read a task's features."""
    return MLPHead(spec.outputs, spec.widths)


class CrossTaskFns(NamedTuple):
    """The functions of a `CrossTaskEmbedding`, whose parameters are among those of the heads."""

    init: Callable[..., dict[str, Any]]
    embed: Callable[..., dict[str, jax.Array]]


def cross_task_fns(sizes: dict[str, int], outputs: Mapping[str, Any]) -> CrossTaskFns:
    """The cross-task embedding of a model, if it has one."""
    specs = [(name, spec) for name, spec in outputs.items() if isinstance(spec, CrossTaskEmbedding)]
    if not specs:
        return CrossTaskFns(lambda key, outputs, features: {}, undefined)
    ((name, spec),) = specs

    def embedding(width):
        return Embedding(tuple(sizes.items()), spec.width, width)

    def init(key, outputs, features):
        width = next(iter(features.values())).shape[-1]
        require_same_positions({task: outputs[task] for task in sizes})
        values = {task: jnp.zeros((1, *outputs[task].shape[1:])) for task in sizes}
        return {name: embedding(width).init(key, values, 0)["params"]}

    def embed(heads, values, pair):
        width = heads[name]["last"]["bias"].shape[0]
        return embedding(width).apply({"params": heads[name]}, values, pair)

    return CrossTaskFns(init, embed)


def require_same_positions(outputs: Mapping[str, Any]) -> None:
    """Requires that the outputs of all tasks have positions of one shape, or none has any."""
    shapes = {
        task: "a dict" if isinstance(each, dict) else positions_of(each)
        for task, each in outputs.items()
    }
    if "a dict" in shapes.values() or len(set(shapes.values())) > 1:
        raise BadInput(
            f"CrossTask needs outputs whose positions have the same shape in all tasks, not {shapes}"
        )
