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

from mtl_jax.config.param_rules import ParamRules, rule_of
from mtl_jax.core.model import EncoderOutput
from mtl_jax.core.trunk import Trunk, traits
from mtl_jax.core.validation import BadInput, require


@dataclasses.dataclass(frozen=True)
class PerTaskTrunk(Trunk):
    """A separate copy of a trunk for each task (soft sharing), vectorized over a leading axis.

    Attributes:
      trunk: the module; every task has its own parameters for it.
    """

    trunk: nn.Module

    inner_trunks = ("trunk",)


def make_encoder(trunk: Any, tasks: tuple[str, ...], plan: ParamRules, maps: bool) -> tuple:
    """`init` and `encode` of a model without its heads.

    Raises:
      BadInput: if `maps` is requested for a model without a single shared trunk.
    """
    one = isinstance(trunk, nn.Module) and not traits(trunk).is_multitask
    rule = "must be a plain trunk, since a method reads what its layers give"
    require(one or traits(trunk).adds_params or not maps, "net", "trunk", rule, trunk)
    if isinstance(trunk, PerTaskTrunk):
        return per_task(trunk, tasks, plan)
    if traits(trunk).adds_params:
        return with_added_params(trunk, plan, maps)
    return shared_encoder(named_for(trunk, tasks), plan, maps)


def named_for(trunk: nn.Module, tasks: tuple[str, ...]) -> nn.Module:
    """A multi-task architecture with its task names set; a plain trunk unchanged."""
    return trunk.clone(tasks=tasks) if traits(trunk).is_multitask else trunk


def with_added_params(trunk: Any, plan: ParamRules, maps: bool) -> tuple:
    """`init` and `encode` of a trunk whose parameters are modified by added ones."""
    init_trunk, encode_trunk = shared_encoder(trunk.trunk, plan, maps)

    def init(key, x):
        params, stats = init_trunk(key, x)
        extra = trunk.init_params(jax.random.fold_in(key, 2), params["shared"])
        return {**params, "shared": {**params["shared"], "added": extra}}, stats

    def encode(params, stats, x, **how):
        own = {name: leaf for name, leaf in params["shared"].items() if name != "added"}
        acting = trunk.merge(own, params["shared"]["added"])
        return encode_trunk({**params, "shared": acting}, stats, x, **how)

    return init, encode


def shared_encoder(module: nn.Module, plan: ParamRules, maps: bool = False) -> tuple:
    """`init` and `encode` of one module, whose parameters are split by name."""

    def init(key, x):
        params_key, draw_key = key, jax.random.fold_in(key, 1)
        variables = module.init({"params": params_key, "draw": draw_key}, x, train=False)
        params = variables["params"]
        own = {name: leaf for name, leaf in params.items() if name.startswith("task")}
        shared = {name: leaf for name, leaf in params.items() if name not in own}
        tasks = {"own": own} if own else {}
        return {"shared": shared, "tasks": tasks}, variables.get("batch_stats", {})

    def encode(params, stats, x, *, train, key=None, tasks=None):
        params = {**params["shared"], **params["tasks"].get("own", {})}
        return apply_module(
            module, params, stats, x, train, key, freeze_batch_norm(place_of, plan), maps
        )

    return init, encode


def per_task(soft: PerTaskTrunk, names: tuple[str, ...], plan: ParamRules) -> tuple:
    """`init` and `encode` of one copy of a trunk for each task."""

    def draw(key, x):
        variables = soft.trunk.init({"params": key, "draw": key}, x, train=False)
        return variables["params"], variables.get("batch_stats", {})

    def init(key, x):
        params, stats = jax.vmap(draw, (0, None))(jax.random.split(key, len(names)), x)
        return {"shared": {}, "tasks": {"trunk": params}}, stats

    def encode(params, stats, x, *, train, key=None, tasks=None):
        hold = freeze_batch_norm(lambda path: ("tasks", "trunk", *path), plan)
        asked = names if tasks is None else tasks
        rows = jnp.array([names.index(name) for name in asked])

        def one(params, stats, key):
            return apply_module(soft.trunk, params, stats, x, train, key, hold)

        keys = None if key is None else jax.random.split(key, len(names))
        given = (params["tasks"]["trunk"], stats, keys)
        if asked != names:
            given = jax.tree.map(lambda leaf: leaf[rows], given)
        features, moved = jax.vmap(one)(*given)
        if asked != names:
            moved = jax.tree.map(lambda old, new: old.at[rows].set(new), stats, moved)
        return dict(zip(asked, features, strict=True)), moved

    return init, encode


def apply_module(module: nn.Module, params, stats, x, train: bool, key, hold, maps: bool = False):
    """Features, with layer outputs if `maps`, and the updated statistics of a module."""
    variables = {"params": params, "batch_stats": stats}
    draws = {} if key is None else {"draw": key}
    moving = bool(train and stats)
    kept = [*(["batch_stats"] if moving else []), *(["intermediates"] if maps else [])]
    with nn.intercept_methods(hold) if moving else contextlib.nullcontext():
        found = module.apply(
            variables,
            x,
            train=train,
            rngs=draws,
            mutable=kept or False,
            capture_intermediates=is_layer if maps else False,
        )
    features, moved = found if kept else (found, {})
    if maps:
        layers = moved.get("intermediates", {}).items()
        features = EncoderOutput(features, {name: each["__call__"][0] for name, each in layers})
    return features, moved.get("batch_stats", stats)


def is_layer(module: nn.Module, method: str) -> bool:
    """Whether a module is a layer of a trunk, whose output is a feature map."""
    direct = method == "__call__" and len(module.path) == 1
    return direct and re.fullmatch(r"(stage|block|Dense|Conv)_?\d+", module.name) is not None


def place_of(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path in the parameter tree of a module of a shared body."""
    return ("tasks", "own", *path) if path and path[0].startswith("task") else ("shared", *path)


def freeze_batch_norm(place: Callable[[tuple], tuple], plan: ParamRules):
    """Makes a Linen interceptor that runs frozen BatchNorms on their running statistics.

    The trunk must pass `use_running_average` where it calls a BatchNorm; Linen raises an error if
    it is set both there and in the constructor. A BatchNorm that is not frozen requires more than
    one value per channel.
    """

    def intercept(call, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
            path = "/".join(place(module.path))
            names = (f"{path}/scale", f"{path}/bias")
            rules = [rule_of(plan, name) for name in names]
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
    kept = {axis % x.ndim for axis in axes}
    count = math.prod(n for axis, n in enumerate(x.shape) if axis not in kept)
    if count == 1:
        raise BadInput(
            f"a batch of one leaves BatchNorm ({path}) one value of each channel, whose variance "
            "is 0: Run.batch_size must be at least 2, or the trunk one without BatchNorm"
        )
