"""GradVac: push each task's gradient until its angle to the others is what it used to be."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, product, unit_scale


@dataclasses.dataclass(frozen=True)
class GradVac:
    """Gradient vaccine: PCGrad with a moving target `t_ij` in place of a right angle.

    A copy of each task's gradient visits the others in a random order, drawn anew for each task
    and step. With c the cosine of `g_i`, as it is by then, and `g_j`: if `c < t_ij`, then
    `g_i += (||g_i|| / ||g_j||) (t_ij sqrt(1 - c^2) / sqrt(1 - t_ij^2) - c) g_j`, after which
    their cosine is `t_ij`. Then `t_ij = (1 - beta) t_ij + beta c`, whether pushed or not. The
    weights are those of the sum over tasks; they do not change if all gradients are scaled
    alike. At targets of 0, as in the first step, or with beta = 0 always, it is PCGrad. A target
    near 1 asks for pushes without bound; it counts as at most `1 - sqrt(epsilon)`.

    The paper takes a target for each pair and each group of parameters; here the shared
    parameters are one group. It suggests beta = 0.01; the default is that of the libraries.

    Degenerate gradients: a zero one is visited without effect and keeps weight 1 (an all-zero G
    gives ones); of two exactly opposed ones each is projected to zero while the target is 0; a
    copy that came to zero visits nobody any more; targets stay where nothing was visited; for
    K = 1 the weight is 1. A NaN or an infinity in G makes all weights NaN and leaves the state
    as it was. No gradient flows into G. The reference weighs shared parameters; heads keep their
    own gradient.

    Attributes:
      beta: how fast targets follow the cosines.

    Raises:
      BadInput: for a beta that is not between 0 and 1.

    Reference: Wang et al., Gradient Vaccine: Investigating and Improving Multi-task Optimization
      in Massively Multilingual Models, ICLR 2021, Section 3 and Algorithm 1
      (https://arxiv.org/abs/2010.05874).
    """

    beta: float = 0.5

    def __post_init__(self):
        require_number(self, beta=(0.0, 1.0))

    def init(self, num_tasks: int) -> jax.Array:
        """State before the first step: targets of 0, `[num_tasks, num_tasks]`."""
        return jnp.zeros((num_tasks, num_tasks), float)

    def weigh_gram(
        self, gram: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and moves the targets."""
        check_square(gram)
        orders = jax.random.uniform(key, gram.shape).argsort(1)
        return vaccinate(jax.lax.stop_gradient(gram), state, orders, self.beta)


def vaccinate(
    gram: jax.Array, targets: jax.Array, orders: jax.Array, beta: float
) -> tuple[jax.Array, jax.Array]:
    """Weights and next targets of GradVac when the orders of the visits are given.

    Args:
      gram: `[K, K]`.
      targets: `[K, K]`; row i has the cosines that task i aims at.
      orders: `[K, K]`; row i is the order in which task i visits the tasks (itself too, which
        does nothing).
      beta: how fast targets follow the cosines.

    Returns:
      The weights `[K]` and the next targets `[K, K]`.

    Raises:
      AssertionError: for another shape, when traced.
    """
    check_square(gram)
    chex.assert_shape([targets, orders], gram.shape)
    each = jax.vmap(visits, (0, None, 0, 0, None))
    rows, moved = each(
        jnp.arange(len(gram)), unit_scale(gram), targets.astype(gram.dtype), orders, beta
    )
    finite = jnp.isfinite(gram).all()
    weights = jnp.where(finite, rows.sum(0), jnp.nan)
    return weights, jnp.where(finite, moved.astype(targets.dtype), targets)


def visits(
    task: jax.Array, gram: jax.Array, targets: jax.Array, order: jax.Array, beta: float
) -> tuple[jax.Array, jax.Array]:
    """Coefficients `[K]` of one task's gradient after its visits, and its next targets `[K]`."""
    epsilon, tiny = jnp.finfo(gram.dtype).eps, jnp.finfo(gram.dtype).tiny
    there = jnp.diagonal(gram) >= tiny
    lengths = jnp.sqrt(jnp.where(there, jnp.diagonal(gram), 0.0))

    def visit(carry, other):
        coefficients, targets = carry
        inner = product(gram, coefficients)
        square = jnp.vdot(coefficients, inner, precision="highest")
        # What rounding leaves of a gradient that cancelled has no angle.
        noise = 8 * epsilon * jnp.square(jnp.vdot(jnp.abs(coefficients), lengths))
        meets = (other != task) & there[other] & (square > noise)
        own, its = jnp.sqrt(jnp.where(meets, square, 1.0)), jnp.where(meets, lengths[other], 1.0)
        cosine = jnp.clip(inner[other] / its / own, -1.0, 1.0)
        target = targets[other]
        step = jnp.where(meets & (cosine < target), push(cosine, target) * own / its, 0.0)
        moved = jnp.where(meets, (1.0 - beta) * target + beta * cosine, target)
        return (coefficients.at[other].add(step), targets.at[other].set(moved)), None

    start = jnp.zeros_like(gram[0]).at[task].set(1.0)
    return jax.lax.scan(visit, (start, targets), order)[0]


def push(cosine: jax.Array, target: jax.Array) -> jax.Array:
    """How much of a unit vector a unit vector at `cosine` to it wants, to come to `target`."""
    bound = 1.0 - jnp.finfo(target.dtype).eps ** 0.5
    target = jnp.clip(target, -bound, bound)
    return target * jnp.sqrt((1.0 - cosine**2) / (1.0 - target**2)) - cosine
