"""Two clouds of points, one shifted and stretched, and what descent of a loss makes of them."""

import jax
import jax.numpy as jnp


def clouds(size=16, width=3, shift=2.0, stretch=1.0):
    """Features of a source and a target, `[size, width]` each."""
    source, target = jax.random.normal(jax.random.key(1), (2, size, width))
    return source, stretch * target + shift


def descended(loss, source, target, rate, steps=30):
    """Both clouds after some steps down `loss(source, target)`."""

    def step(_, both):
        grads = jax.grad(loss, (0, 1))(*both)
        return jax.tree.map(lambda x, g: x - rate * g, both, grads)

    return jax.jit(lambda *both: jax.lax.fori_loop(0, steps, step, both))(source, target)


def gap(source, target):
    """Distance of the middles of two clouds `[]`."""
    return float(jnp.linalg.norm(source.mean(0) - target.mean(0)))
