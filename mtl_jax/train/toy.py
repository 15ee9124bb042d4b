"""Optimizes toy problems with exact losses: the balancing step without data or models."""

import functools

import jax
import jax.numpy as jnp
import optax

from mtl_jax.aggregation.balance import BalancedGradient, balance
from mtl_jax.aggregation.pullback import pullback_only
from mtl_jax.config.toy import ToyRun
from mtl_jax.core.tree import Tree
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
    transform = run.optimizer.build(run.steps)
    method, losses_of = run.balance, run.problem.losses

    def step(carry, count):
        point, opt_state, state = carry

        gradient_fn = functools.partial(gradient_at, run, state, jax.random.fold_in(key, count))
        gradient, found = run.optimizer.gradient(gradient_fn, point, opt_state)
        updates, opt_state = transform.update(gradient, opt_state, point)
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
    first = (start, transform.init(start), state)
    _, weights = step(first, jnp.int32(0))
    first_steps = jnp.arange(0, run.steps, length, dtype=jnp.int32)
    _, records = jax.lax.scan(block, first, first_steps)
    first_record = (start, losses_of(start), weights)
    return jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first_record, records)


def gradient_at(
    run: ToyRun, state: Tree, key: jax.Array, point: jax.Array
) -> tuple[jax.Array, BalancedGradient]:
    """The combined gradient at a point `[D]`, and the result of the balance."""
    losses, vjp_fn = jax.vjp(run.problem.losses, point)

    def pullback(cotangents):
        return {"shared": vjp_fn(cotangents)[0], "tasks": {}}

    pullbacks = pullback_only(pullback, losses)._replace(
        losses_fn=lambda params: run.problem.losses(params["shared"]),
        params={"shared": point, "tasks": {}},
    )
    found = balance(run.balance, losses, pullbacks, state, key)
    return found.gradient["shared"], found
