"""Model bodies: everything but the heads, as pure functions of `{"shared": ..., "tasks": ...}`."""

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.config.param_rules import ParamRules, find_rule
from mtl_jax.core.model import EncoderOutput
from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import Trunk, traits
from mtl_jax.core.validation import BadInput, require

# The functions `init` and `encode` of a `Model`.
Encoder = tuple[Callable[..., tuple[Tree, Tree]], Callable[..., tuple[Any, Tree]]]


@dataclasses.dataclass(frozen=True)
class PerTaskTrunk(Trunk):
    """A separate copy of a trunk for each task (soft sharing), vectorized over a leading axis.

    Attributes:
      trunk: the module; every task has its own parameters for it.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.PerTaskTrunk(nets.MLP((8,))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["trunk"]["Dense_0"]["kernel"].shape
      (2, 4, 8)
    """

    trunk: nn.Module

    inner_trunks = ("trunk",)


def make_encoder(
    trunk: Any, tasks: tuple[str, ...], param_rules: ParamRules, feature_maps: bool
) -> Encoder:
    """`init` and `encode` of a model without its heads.

    Raises:
      BadInput: if feature maps are requested for a model without a single shared trunk.
    """
    is_single = isinstance(trunk, nn.Module) and not traits(trunk).is_multitask
    rule = "must be a plain trunk, since a method reads the outputs of its layers"
    require(is_single or traits(trunk).adds_params or not feature_maps, "net", "trunk", rule, trunk)
    if isinstance(trunk, PerTaskTrunk):
        return per_task(trunk, tasks, param_rules)
    if traits(trunk).adds_params:
        return with_added_params(trunk, param_rules, feature_maps)
    return shared_encoder(with_task_names(trunk, tasks), param_rules, feature_maps)


def with_task_names(trunk: nn.Module, tasks: tuple[str, ...]) -> nn.Module:
    """A multi-task architecture with its task names set; a plain trunk unchanged."""
    return trunk.clone(tasks=tasks) if traits(trunk).is_multitask else trunk


def with_added_params(trunk: Any, param_rules: ParamRules, feature_maps: bool) -> Encoder:
    """`init` and `encode` of a trunk whose parameters are modified by added ones."""
    init_trunk, encode_trunk = shared_encoder(trunk.trunk, param_rules, feature_maps)

    def init(key, x):
        params, stats = init_trunk(key, x)
        added = trunk.init_params(jax.random.fold_in(key, 2), params["shared"])
        return {**params, "shared": {**params["shared"], "added": added}}, stats

    def encode(params, stats, x, **kwargs):
        trunk_params = {name: leaf for name, leaf in params["shared"].items() if name != "added"}
        merged = trunk.merge(trunk_params, params["shared"]["added"])
        return encode_trunk({**params, "shared": merged}, stats, x, **kwargs)

    return init, encode


def shared_encoder(
    module: nn.Module, param_rules: ParamRules, feature_maps: bool = False
) -> Encoder:
    """`init` and `encode` of one module, whose parameters are split by name."""

    def init(key, x):
        params_key, draw_key = key, jax.random.fold_in(key, 1)
        variables = module.init({"params": params_key, "draw": draw_key}, x, train=False)
        params = variables["params"]
        task_params = {name: leaf for name, leaf in params.items() if name.startswith("task")}
        shared = {name: leaf for name, leaf in params.items() if name not in task_params}
        tasks = {"own": task_params} if task_params else {}
        return {"shared": shared, "tasks": tasks}, variables.get("batch_stats", {})

    def encode(params, stats, x, *, train, key=None, tasks=None):
        params = {**params["shared"], **params["tasks"].get("own", {})}
        return apply_module(
            module,
            params,
            stats,
            x,
            train,
            key,
            freeze_batch_norm(param_path, param_rules),
            feature_maps,
        )

    return init, encode


def per_task(
    per_task_trunk: PerTaskTrunk, names: tuple[str, ...], param_rules: ParamRules
) -> Encoder:
    """`init` and `encode` of one copy of a trunk for each task."""

    def init_copy(key, x):
        variables = per_task_trunk.trunk.init({"params": key, "draw": key}, x, train=False)
        return variables["params"], variables.get("batch_stats", {})

    def init(key, x):
        params, stats = jax.vmap(init_copy, (0, None))(jax.random.split(key, len(names)), x)
        return {"shared": {}, "tasks": {"trunk": params}}, stats

    def encode(params, stats, x, *, train, key=None, tasks=None):
        interceptor = freeze_batch_norm(lambda path: ("tasks", "trunk", *path), param_rules)
        selected = names if tasks is None else tasks
        indices = jnp.array([names.index(name) for name in selected])

        def apply_copy(params, stats, key):
            return apply_module(per_task_trunk.trunk, params, stats, x, train, key, interceptor)

        keys = None if key is None else jax.random.split(key, len(names))
        mapped = (params["tasks"]["trunk"], stats, keys)
        if selected != names:
            mapped = jax.tree.map(lambda leaf: leaf[indices], mapped)
        features, updated = jax.vmap(apply_copy)(*mapped)
        if selected != names:
            updated = jax.tree.map(lambda old, new: old.at[indices].set(new), stats, updated)
        by_task = {
            name: jax.tree.map(lambda leaf, i=i: leaf[i], features)
            for i, name in enumerate(selected)
        }
        return by_task, updated

    return init, encode


def apply_module(
    module: nn.Module, params, stats, x, train: bool, key, interceptor, feature_maps: bool = False
):
    """Features, with layer outputs if `feature_maps`, and the updated statistics of a module."""
    variables = {"params": params, "batch_stats": stats}
    rngs = {} if key is None else {"draw": key}
    updates_stats = bool(train and stats)
    mutable = [
        *(["batch_stats"] if updates_stats else []),
        *(["intermediates"] if feature_maps else []),
    ]
    with nn.intercept_methods(interceptor) if updates_stats else contextlib.nullcontext():
        outputs: Any = module.apply(
            variables,
            x,
            train=train,
            rngs=rngs,
            mutable=mutable or False,
            capture_intermediates=is_layer if feature_maps else False,
        )
    features, updated = outputs if mutable else (outputs, {})
    if feature_maps:
        layers = updated.get("intermediates", {}).items()
        features = EncoderOutput(features, {name: calls["__call__"][0] for name, calls in layers})
    return features, updated.get("batch_stats", stats)


def is_layer(module: nn.Module, method: str) -> bool:
    """Whether a module is a layer of a trunk, whose output is a feature map."""
    is_child = method == "__call__" and len(module.path) == 1
    return is_child and re.fullmatch(r"(stage|block|Dense|Conv)_?\d+", module.path[0]) is not None


def param_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path in the parameter tree of a module of a shared body."""
    return ("tasks", "own", *path) if path and path[0].startswith("task") else ("shared", *path)


def freeze_batch_norm(path_of: Callable[[tuple], tuple], param_rules: ParamRules):
    """Makes a Linen interceptor that runs frozen BatchNorms on their running statistics.

    The trunk must pass `use_running_average` where it calls a BatchNorm; Linen raises an error if
    it is set both there and in the constructor. A BatchNorm that is not frozen requires more than
    one value per channel.
    """

    def intercept(call, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
            path = "/".join(path_of(module.path))
            names = (f"{path}/scale", f"{path}/bias")
            rules = [find_rule(param_rules, name) for name in names]
            if any(rule is not None and rule.frozen for rule in rules):
                return call(*args, **{**kwargs, "use_running_average": True})
            if not kwargs.get("use_running_average", module.use_running_average):
                require_variance(module, path, (*args, *kwargs.values())[0])
        return call(*args, **kwargs)

    return intercept


def require_variance(norm: nn.BatchNorm, path: str, x: jax.Array) -> None:
    """Requires more than one value per channel, since the variance of a single value is always 0.

    Raises:
      BadInput: for vectors, or maps of one pixel, with a batch size of one.
    """
    axes = (norm.axis,) if isinstance(norm.axis, int) else norm.axis
    channel_axes = {axis % x.ndim for axis in axes}
    count = math.prod(n for axis, n in enumerate(x.shape) if axis not in channel_axes)
    if count == 1:
        raise BadInput(
            f"a batch of one leaves BatchNorm ({path}) one value of each channel, whose variance "
            "is 0: Run.batch_size must be at least 2, or the trunk one without BatchNorm"
        )
