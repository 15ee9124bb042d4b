"""PCGrad: project each task's gradient off the gradients it conflicts with."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.solvers.quadratic import check_square, unit_scale


@dataclasses.dataclass(frozen=True)
class PCGrad:
    """Projecting conflicting gradients, summed over the tasks.

    A copy of each task's gradient visits the others in a random order, drawn anew for each task
    and step: `g_i -= min(0, <g_i, g_j>) / ||g_j||^2 g_j`. The result is a combination of the
    original gradients, so G alone tells its weights. They do not change if all gradients are
    scaled alike. For two tasks they are those of `UPGrad(preference=(1.0, 1.0))`; for more,
    the result may still conflict with a task. Without conflict all weights are 1: the sum, as
    in the paper's algorithm (some code takes the mean).

    Degenerate gradients: a zero one is visited without effect and keeps weight 1 (an all-zero G
    gives ones); of two exactly opposed ones each is projected to zero; for K = 1 the weight is
    1. A NaN or an infinity in G makes all weights NaN. No gradient flows into G. The reference
    weighs shared parameters; heads keep their own gradient.

    Reference: Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, Algorithm 1
      (https://arxiv.org/abs/2001.06782).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        orders = jax.random.uniform(key, gram.shape).argsort(1)
        return project(jax.lax.stop_gradient(gram), orders), state


def project(gram: jax.Array, orders: jax.Array) -> jax.Array:
    """Weights of PCGrad when the orders of the visits are given.

    Args:
      gram: `[K, K]`.
      orders: `[K, K]`; row i is the order in which task i visits the tasks (itself too, which
        does nothing).

    Returns:
      The weights, `[K]`.

    Raises:
      AssertionError: for another shape, when traced.
    """
    check_square(gram)
    chex.assert_shape(orders, gram.shape)
    tasks = jnp.arange(len(gram))
    weights = jax.vmap(surgery, (0, None, 0))(tasks, unit_scale(gram), orders).sum(0)
    # A NaN fails every comparison, so it would pass for "no conflict".
    return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan)


def surgery(task: jax.Array, gram: jax.Array, order: jax.Array) -> jax.Array:
    """Coefficients `[K]` of one task's gradient after its visits."""

    def visit(coefficients, other):
        inner = jnp.vdot(gram[other], coefficients, precision="highest")
        square = gram[other, other]
        there = square >= jnp.finfo(gram.dtype).tiny
        conflict = there & (other != task) & (inner < 0)
        step = jnp.where(conflict, inner / jnp.where(there, square, 1.0), 0.0)
        return coefficients.at[other].add(-step), None

    own = jnp.zeros_like(gram[0]).at[task].set(1.0)
    return jax.lax.scan(visit, own, order)[0]
