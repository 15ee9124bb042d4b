"""Optimizes toy problems with exact losses: the balancing step without data or models."""

import jax
import jax.numpy as jnp
import optax

from mtl_jax.aggregation.balance import balance
from mtl_jax.config.toy import ToyRun
from mtl_jax.train.state import init_balance_state


def optimize_trajectory(run: ToyRun, start: jax.Array, key: jax.Array) -> tuple:
    """Computes the optimization trajectory from one initial point.

    Methods with `uses_post_step` receive the losses at the updated point after each step.

    Args:
      run: the toy run.
      start: the initial point, `[D]`.
      key: key for stochastic methods.

    Returns:
      Points `[T, D]`, losses `[T, K]` and weights `[T, K]` at T = 1 + num_records times: the
      start, with the weights of the first step, and the ends of equal blocks of steps.
    """
    optimizer = run.optimizer.build(run.steps)
    method, losses_of = run.balance, run.problem.losses

    def step(carry, count):
        point, opt_state, state = carry
        losses, vjp_fn = jax.vjp(losses_of, point)

        def pullback(cotangents):
            return {"shared": vjp_fn(cotangents)[0], "tasks": {}}

        found = balance(method, losses, pullback, state, jax.random.fold_in(key, count))
        updates, opt_state = optimizer.update(found.gradient["shared"], opt_state, point)
        point, state = jnp.asarray(optax.apply_updates(point, updates)), found.state
        if method.uses_post_step:
            state = method.post_step(losses_of(point), state)
        return (point, opt_state, state), found.weights

    def block(carry, first_step):
        counts = first_step + jnp.arange(length)
        carry, weights = jax.lax.scan(step, carry, counts)
        return carry, (carry[0], losses_of(carry[0]), weights[-1])

    length = run.steps // run.num_records
    state = init_balance_state(method, losses_of(start).size, start)
    first = (start, optimizer.init(start), state)
    _, weights = step(first, jnp.int32(0))
    first_steps = jnp.arange(0, run.steps, length, dtype=jnp.int32)
    _, records = jax.lax.scan(block, first, first_steps)
    first_record = (start, losses_of(start), weights)
    return jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first_record, records)
