"""The heads of a model: those that read vectors, and modules that read features of any type."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.config.param_rules import ParamRules
from mtl_jax.core.features import feature_type, features_at, positions_of
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.head import Head
from mtl_jax.core.head_key import HeadKey, encoder_stats, head_stats, join_stats
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.model import trunk_features, vector_features
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.encoder import apply_module, freeze_batch_norm
from mtl_jax.nets.heads.mlp import HiddenHead

Heads = Mapping[str, nn.Module]


def head_of(spec: int | Head | AuxHead) -> Any:
    """The module of a head that reads features; an integer is a linear head."""
    if isinstance(spec, AuxHead):
        return HiddenHead(*spec)
    return nn.Dense(spec) if isinstance(spec, int) else spec


def init_heads(
    heads: Heads, features: Mapping[str, Any], keys: Sequence[jax.Array]
) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Parameters of the heads, and batch statistics of those that have any, by name.

    Args:
      heads: the heads by name.
      features: shapes of the features by task.
      keys: a key for each head.

    Raises:
      BadInput: for a head that does not read features of this type.
    """
    params, stats = {}, {}
    for (name, head), key in zip(heads.items(), keys, strict=True):
        own = features[HeadKey.parse(name).task]
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), own)
        if isinstance(head, Head):
            zeros = trunk_features(zeros)
            require_feature_type(name, head, zeros)
            variables = head.init({"params": key, "draw": key}, zeros, train=False)
        else:
            variables = head.init(key, vector_features(zeros))
        params[name] = variables.get("params", {})
        stats |= {name: variables["batch_stats"]} if "batch_stats" in variables else {}
    return params, stats


def require_feature_type(name: str, head: Head, features: Any) -> None:
    """Requires features of a type that a head reads."""
    kind = feature_type(features)
    if head.reads is not None and kind not in head.reads:
        given = f"a {kind}" if kind else "another tree"
        raise BadInput(
            f"task {name!r}: the head {to_source(head)} reads a {' or '.join(head.reads)}, and the "
            f"trunk gives {given}"
        )


def apply_heads(
    heads: Heads,
    param_rules: ParamRules,
    params: Tree,
    stats: Tree,
    features: Mapping[str, Any],
    *,
    train: bool,
    key: jax.Array | None = None,
) -> tuple[dict[str, Any], Tree]:
    """Outputs of the heads whose task has features, and the updated batch statistics.

    An auxiliary head of a dense task reads the features at the positions of the task's outputs.
    """
    outputs, updated = {}, dict(head_stats(stats))
    for name, head in heads.items():
        own = HeadKey.parse(name)
        if own.task not in features:
            continue
        if isinstance(head, Head):
            outputs[name], found = apply_module(
                head,
                params[name],
                updated.get(name, {}),
                trunk_features(features[own.task]),
                train,
                None if key is None else fold_in_name(key, own.path),
                freeze_batch_norm(lambda path, own=own: (*own.path.split("/"), *path), param_rules),
            )
            updated |= {name: found} if found else {}
        else:
            positions = positions_of(outputs.get(own.task))
            x = features_at(trunk_features(features[own.task]), positions)
            outputs[name] = apply_vector_head(head, params[name], x)
    return outputs, join_stats(encoder_stats(stats), updated)


def apply_vector_head(head: nn.Module, params: Any, x: jax.Array) -> jax.Array:
    """Outputs `[..., C]` of a head, computed with an additional batch axis of size one."""
    # Without it, XLA computes the gradient of a kernel with few outputs as `x^T g`, which on a CPU
    # takes six times as long as `(g^T x)^T`, the form it uses for batched products.
    params, x = jax.tree.map(lambda array: array[None], (params, x))
    return jax.vmap(lambda params, x: head.apply({"params": params}, x))(params, x)[0]
