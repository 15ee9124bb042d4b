"""What tests of architectures ask: a net of one, its features, which parameters a task moves."""

import functools

import jax
import jax.numpy as jnp

from mtl_jax import nets
from mtl_jax.core.tree import path_str

X = jax.random.uniform(jax.random.key(1), (5, 6, 6, 1))
HEADS = {"row": 3, "height": 1}


@functools.cache
def made(trunk, seed=0):
    """The net, and its parameters and statistics after `init`."""
    net = nets.make_model(trunk, HEADS)
    return net, *jax.jit(net.init)(jax.random.key(seed), X)


@functools.cache
def encoder(trunk, train=False):
    """A compiled `(params, stats) -> (features, stats)` on the inputs X."""
    net = nets.make_model(trunk, HEADS)
    apply = jax.jit(functools.partial(net.apply, train=train))

    def encode(params, stats):
        outputs, stats = apply(params, stats, X)
        return outputs.features, stats

    return encode


def changed(params, part, **leaves):
    """Parameters with other subtrees under `shared` or, for "tasks", under what is their own."""
    if part == "shared":
        return {**params, "shared": {**params["shared"], **leaves}}
    trunk = {**params["tasks"]["own"], **leaves}
    return {**params, "tasks": {**params["tasks"], "own": trunk}}


@functools.cache
def moved_by(trunk, task):
    """Top names of parameters, without heads, in which the task's outputs have a gradient.

    The shared ones are written `shared/name`, those of tasks by their names alone.
    """
    net, params, stats = made(trunk)

    def score(params):
        return jnp.square(net.apply(params, stats, X, train=True)[0].logits[task]).sum()

    grads = jax.device_get(jax.jit(jax.grad(score))(params))
    body = {"shared": grads["shared"], **grads["tasks"].get("own", {})}
    leaves = jax.tree_util.tree_leaves_with_path(body)
    moved = [path_str(path).split("/") for path, leaf in leaves if (leaf != 0).any()]
    return {"/".join(path[: 2 if path[0] == "shared" else 1]) for path in moved}
