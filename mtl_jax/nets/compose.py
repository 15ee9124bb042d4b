"""Puts a trunk and one head a task together as a `Net`."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.protocols import Net, Outputs


@dataclasses.dataclass(frozen=True)
class PerTask:
    """One copy of a trunk for each task (soft sharing), side by side on a leading axis.

    Attributes:
      trunk: the module that every task has its own parameters of.
    """

    trunk: nn.Module

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional


def compose(trunk: Any, outputs: Mapping[str, int], freeze: tuple[str, ...] = ()) -> Net:
    """Builds a net of a trunk, shared or one a task, and a linear head for each task.

    Args:
      trunk: a Linen module `(x [N, ...], train) -> features [N, D]`, or `PerTask` of one.
      outputs: number of outputs of each task's head.
      freeze: patterns of frozen parameters; a BatchNorm of which a parameter is frozen
        uses its running statistics in training too, and leaves them as they are.

    Returns:
      A `Net` over `{"shared": ..., "tasks": ...}` (see `mtl_jax.protocols`); features are
      `[N, D]`, with one trunk a task `[K, N, D]`.
    """
    heads = {name: nn.Dense(size) for name, size in outputs.items()}
    soft = isinstance(trunk, PerTask)
    module = trunk.trunk if soft else trunk
    prefix = "tasks/trunk" if soft else "shared"

    def init_trunk(key, x):
        variables = module.init(key, x, train=False)
        return variables["params"], variables.get("batch_stats", {})

    def run_trunk(params, stats, x, train):
        variables = {"params": params, "batch_stats": stats}
        if not (train and stats):
            return module.apply(variables, x, train=train), stats
        with nn.intercept_methods(hold_frozen(prefix, freeze)):
            features, moved = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return features, moved["batch_stats"]

    def run_trunks(params, stats, x, train):
        if not soft:
            return run_trunk(params["shared"], stats, x, train)
        each = jax.vmap(functools.partial(run_trunk, x=x, train=train))
        return each(params["tasks"]["trunk"], stats)

    def init(key, x):
        trunk_key, *head_keys = jax.random.split(key, 1 + len(heads))
        if soft:
            drawn, stats = jax.vmap(init_trunk, (0, None))(
                jax.random.split(trunk_key, len(heads)), x
            )
            params = {"shared": {}, "tasks": {"trunk": drawn}}
        else:
            drawn, stats = init_trunk(trunk_key, x)
            params = {"shared": drawn, "tasks": {}}
        features, _ = jax.eval_shape(lambda: run_trunks(params, stats, x, False))
        sample = jnp.zeros((1, features.shape[-1]), features.dtype)
        made = zip(heads.items(), head_keys, strict=True)
        params["tasks"]["heads"] = {n: head.init(k, sample)["params"] for (n, head), k in made}
        return params, stats

    def apply(params, stats, x, *, train):
        features, stats = run_trunks(params, stats, x, train)
        inputs = features if soft else [features] * len(heads)
        logits = {
            name: head.apply({"params": params["tasks"]["heads"][name]}, each)
            for (name, head), each in zip(heads.items(), inputs, strict=True)
        }
        return Outputs(logits, features), stats

    return Net(init, apply)


def hold_frozen(prefix: str, freeze: tuple[str, ...]):
    """Makes a Linen interceptor that runs frozen BatchNorms on their running statistics.

    The trunk must say `use_running_average` where it calls a BatchNorm; Linen refuses to be
    told so both there and where the module is made.
    """

    def intercept(call, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
            path = "/".join((prefix, *module.path))
            names = (f"{path}/scale", f"{path}/bias")
            if any(re.fullmatch(pattern, name) for pattern in freeze for name in names):
                return call(*args, **{**kwargs, "use_running_average": True})
        return call(*args, **kwargs)

    return intercept
