"""Everything that tests ask of an architecture, compiled once: draws, passes and gradients."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax import nets

X = jax.random.uniform(jax.random.key(1), (5, 6, 6, 1))
# Nothing here runs twice: compiling is what costs.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
HEADS = {"row": 3, "task": 2}  # A task's own name must not make anything its own.


class Seen(NamedTuple):
    """What `through` makes of an architecture."""

    params: Any
    stats: Any
    plain: Any  # outputs without training,
    after: Any  # and the statistics after them
    keyed: Any  # the same, with a key given
    trained: Any  # outputs in training,
    moved: Any  # and the statistics after them
    grads: Any  # {task: the gradient of its outputs, squared and summed}


@functools.cache
def through(trunk, x=None) -> Seen:
    """Draws a net of the architecture, and runs it every way."""
    net = nets.make_model(trunk, HEADS)

    def every(x):
        params, stats = net.init(jax.random.key(0), x)
        key = jax.random.key(3)
        plain, after = net.apply(params, stats, x, train=False)
        keyed, _ = net.apply(params, stats, x, train=False, key=key)

        def squared(params):
            outputs, moved = net.apply(params, stats, x, train=True, key=key)
            totals = [jnp.square(outputs.logits[task]).sum() for task in HEADS]
            return jnp.stack(totals), (outputs, moved)

        _, pull, (trained, moved) = jax.vjp(squared, params, has_aux=True)
        grads = {t: pull(row)[0] for t, row in zip(HEADS, jnp.eye(len(HEADS)), strict=True)}
        return Seen(params, stats, plain, after, keyed, trained, moved, grads)

    return jax.device_get(jax.jit(every, compiler_options=QUICK)(X if x is None else x))


def features(trunk, params, stats, x=X, train=False):
    """The features of every task, for parameters of a test's own."""
    net = nets.make_model(trunk, HEADS)
    apply = jax.jit(functools.partial(net.apply, train=train), compiler_options=QUICK)
    outputs, _ = apply(params, stats, x)
    return jax.device_get(outputs.features)


def changed(params, **leaves):
    """The parameters with some of the shared ones replaced."""
    return {**params, "shared": {**params["shared"], **leaves}}
