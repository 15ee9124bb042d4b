"""Combines a trunk and one head per task into a `Model`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.config.param_rules import ParamRules
from mtl_jax.core.head_key import HeadKey, join_params
from mtl_jax.core.head_specs import AuxHead, AuxMLP, CrossTaskEmbedding
from mtl_jax.core.model import Model, features_by_task, pooled_features
from mtl_jax.core.prng import fold_in_name
from mtl_jax.nets.cross_task_embedding import Embedding
from mtl_jax.nets.encoder import make_encoder
from mtl_jax.nets.heads import HiddenHead, MLPHead


def make_model(
    trunk: Any,
    outputs: Mapping[str, int | AuxHead | AuxMLP | CrossTaskEmbedding],
    plan: ParamRules = (),
    maps: bool = False,
) -> Model:
    """Builds a model from a trunk, shared or one per task, and a linear head for each task.

    Args:
      trunk: a Linen module `(x [N, ...], train) -> features [N, D]` shared by all heads; a
        multi-task architecture, i.e. a module with a field `tasks` that returns
        `{task: features}`, whose parameters belong to the tasks if their path begins with "task";
        `PerTaskTrunk`; or a trunk with added parameters, such as `LoRA`.
      outputs: number of outputs of each task's head; in addition, under `task/name`, an `AuxHead`
        that reads the features of the task, or an `AuxMLP` that reads the inputs passed to it;
        and a `CrossTaskEmbedding` under any name.
      plan: rules for frozen parameters; a BatchNorm with a frozen parameter uses its running
        statistics in training too, and leaves them unchanged.
      maps: whether the encoder also returns the outputs of single layers of the trunk, as
        `EncoderOutput`.

    Returns:
      A `Model` over `{"shared": ..., "tasks": ...}` (see `mtl_jax.core.protocols`); features are
      `[N, D]` for each task.
    """
    heads = {
        name: nn.Dense(size) if isinstance(size, int) else HiddenHead(*size)
        for name, size in outputs.items()
        if isinstance(size, int | AuxHead)
    }
    alone = {name: spec for name, spec in outputs.items() if isinstance(spec, AuxMLP)}
    tasks = tuple(name for name, size in outputs.items() if isinstance(size, int))
    reads = {name: HeadKey.parse(name).task for name in heads}
    init_body, encode = make_encoder(trunk, tasks, plan, maps)
    related = relation({name: outputs[name] for name in tasks}, outputs)

    def init(key, x):
        trunk_key, *head_keys = jax.random.split(key, 1 + len(heads))
        params, stats = init_body(trunk_key, x)
        features, _ = jax.eval_shape(lambda: encode(params, stats, x, train=False))
        read = {
            name: pooled_features(each) for name, each in features_by_task(features, tasks).items()
        }
        drawn = {
            name: head.init(head_key, jnp.zeros(each.shape, each.dtype))["params"]
            for (name, head), head_key in zip(heads.items(), head_keys, strict=True)
            for each in (read[reads[name]],)
        }
        drawn |= related.init(jax.random.fold_in(key, 1), read)
        for name, spec in alone.items():
            features = read[HeadKey.parse(name).task]
            size = spec.input_size or spec.input_multiple * features.shape[-1]
            drawn[name] = head_module(spec).init(fold_in_name(key, name), jnp.zeros((1, size)))[
                "params"
            ]
        return join_params(params, drawn), stats

    def decode(params, features):
        return {
            name: apply_head(head, params[name], pooled_features(features[reads[name]]))
            for name, head in heads.items()
            if reads[name] in features
        }

    def call(params, name, x):
        head = head_module(alone[name]) if name in alone else heads[name]
        return head.apply({"params": params[name]}, x)

    return Model(init, encode, decode, related.relate, call)


def apply_head(head: nn.Module, params: Any, x: jax.Array) -> jax.Array:
    """Outputs `[..., C]` of a head, computed with an additional batch axis of size one."""
    # Without it, XLA computes the gradient of a kernel with few outputs as `x^T g`, which on a CPU
    # takes six times as long as `(g^T x)^T`, the form it uses for batched products.
    params, x = jax.tree.map(lambda array: array[None], (params, x))
    return jax.vmap(lambda params, x: head.apply({"params": params}, x))(params, x)[0]


def head_module(spec: AuxMLP) -> MLPHead:
    """The module of a head that does not read a task's features."""
    return MLPHead(spec.outputs, spec.widths)


class Related(NamedTuple):
    """Additions of a `CrossTaskEmbedding` to a model: parameters among the heads, and their use."""

    init: Callable[..., dict[str, Any]]
    relate: Callable[..., dict[str, jax.Array]] | None


def relation(sizes: dict[str, int], outputs: Mapping[str, Any]) -> Related:
    """The cross-task embedding of a model, if it has one."""
    found = [(name, spec) for name, spec in outputs.items() if isinstance(spec, CrossTaskEmbedding)]
    if not found:
        return Related(lambda key, features: {}, None)
    ((name, spec),) = found

    def module(length):
        return Embedding(tuple(sizes.items()), spec.width, length)

    def init(key, features):
        length = next(iter(features.values())).shape[-1]
        values = {task: jnp.zeros((1, size)) for task, size in sizes.items()}
        return {name: module(length).init(key, values, 0)["params"]}

    def relate(heads, values, pair):
        length = heads[name]["last"]["bias"].shape[0]
        return module(length).apply({"params": heads[name]}, values, pair)

    return Related(init, relate)
