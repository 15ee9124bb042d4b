"""PCGrad: projects each task's gradient onto the normal plane of conflicting gradients."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.solvers.quadratic import check_square, normalize_gram


@dataclasses.dataclass(frozen=True)
class PCGrad(GramWeighting):
    """Projects conflicting gradients and sums over the tasks.

    A copy of each task's gradient visits the others in a random order, resampled for each task and
    step: `g_i -= min(0, <g_i, g_j>) / ||g_j||^2 g_j`. The result is a linear combination of the
    original gradients, so its weights are computed from G alone. They are invariant to scaling all
    gradients by the same factor. For two tasks they equal those of `UPGrad(preference=(1.0, 1.0))`;
    for more, the result may still conflict with a task. Without conflict all weights are 1: the
    sum, as in the paper's algorithm (some implementations use the mean).

    Degenerate gradients: a zero gradient has no effect on the others and keeps weight 1 (an
    all-zero G gives ones); two exactly opposed gradients are each projected to zero; for K = 1 the
    weight is 1. A NaN or infinity in G makes all weights NaN. There is no gradient with respect to
    G. As in the reference, only gradients of shared parameters are weighted; heads keep their own
    gradients.

    Reference: Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, Algorithm 1
      (https://arxiv.org/abs/2001.06782).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.PCGrad(), jnp.array([[4.0, -2.0], [-2.0, 2.0]])
      >>> weights, _ = method.weigh_gram(gram, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [1.5, 2.0]
    """

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        orders = jax.random.uniform(key, gram.shape).argsort(1)
        return pcgrad_weights(jax.lax.stop_gradient(gram), orders), state


def pcgrad_weights(gram: jax.Array, orders: jax.Array) -> jax.Array:
    """PCGrad's weights for given visiting orders.

    Args:
      gram: `[K, K]`.
      orders: `[K, K]`; row i is the order in which task i visits the tasks (including itself, which
        has no effect).

    Returns:
      The weights, `[K]`.

    Raises:
      AssertionError: if a shape is wrong, at trace time.
    """
    check_square(gram)
    chex.assert_shape(orders, gram.shape)
    tasks = jnp.arange(len(gram))
    weights = jax.vmap(project_task, (0, None, 0))(tasks, normalize_gram(gram), orders).sum(0)
    # NaN fails every comparison and would be treated as "no conflict".
    return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan)


def project_task(task: jax.Array, gram: jax.Array, order: jax.Array) -> jax.Array:
    """Coefficients `[K]` of one task's gradient after its visits."""

    def visit(coefficients, other):
        inner = jnp.vdot(gram[other], coefficients, precision="highest")
        square = gram[other, other]
        nonzero = square >= jnp.finfo(gram.dtype).tiny
        conflict = nonzero & (other != task) & (inner < 0)
        step = jnp.where(conflict, inner / jnp.where(nonzero, square, 1.0), 0.0)
        return coefficients.at[other].add(-step), None

    start = jnp.zeros_like(gram[0]).at[task].set(1.0)
    return jax.lax.scan(visit, start, order)[0]
