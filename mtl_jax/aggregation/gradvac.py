"""GradVac: adjusts each task's gradient towards its usual cosine with the others."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, matvec, normalize_gram


@dataclasses.dataclass(frozen=True)
class GradVac(GramWeighting):
    """Gradient Vaccine: PCGrad with adaptive target cosines `t_ij` instead of 0.

    A copy of each task's gradient visits the others in a random order, resampled for each task and
    step. With c the cosine of the current `g_i` and `g_j`: if `c < t_ij`, then `g_i += (||g_i|| /
    ||g_j||) (t_ij sqrt(1 - c^2) / sqrt(1 - t_ij^2) - c)
    g_j`, after which their cosine is `t_ij`. Then `t_ij = (1 - beta) t_ij + beta c`, whether or not
    the gradient was changed. The weights are those of the sum over tasks and are invariant to
    scaling all gradients by the same factor. With targets of 0, as in the first step, or always
    with beta = 0, this is PCGrad. A target near 1 would require unbounded changes, so targets are
    capped at `1 - sqrt(epsilon)`.

    The paper keeps a target for each pair and each group of parameters; here the shared parameters
    are one group. It suggests beta = 0.01; the default here is that of common libraries.

    Degenerate gradients: a zero gradient has no effect on the others and keeps weight 1 (an
    all-zero G gives ones); two exactly opposed gradients are each projected to zero while the
    target is 0; a copy that has become zero visits no further tasks; targets are unchanged where no
    visit took place; for K = 1 the weight is 1. A NaN or infinity in G makes all weights NaN and
    leaves the state unchanged. There is no gradient with respect to G. As in the reference, only
    gradients of shared parameters are weighted; heads keep their own gradients.

    Attributes:
      beta: update rate of the targets.

    Raises:
      BadInput: for a beta outside [0, 1].

    Reference: Wang et al., Gradient Vaccine: Investigating and Improving Multi-task Optimization
      in Massively Multilingual Models, ICLR 2021, Section 3 and Algorithm 1
      (https://arxiv.org/abs/2010.05874).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.GradVac(beta=0.5), jnp.array([[1.0, 0.5], [0.5, 1.0]])
      >>> weights, targets = method.weigh_gram(gram, method.init(2), jax.random.key(0))
      >>> weights.tolist(), targets.tolist()
      ([1.0, 1.0], [[0.0, 0.25], [0.25, 0.0]])
    """

    beta: float = 0.5

    def __post_init__(self):
        require_number(self, beta=(0.0, 1.0))

    def init(self, num_tasks: int) -> jax.Array:
        """Initial state: targets of 0, `[num_tasks, num_tasks]`."""
        return jnp.zeros((num_tasks, num_tasks), float)

    def weigh_gram(
        self, gram: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and updates the targets."""
        check_square(gram)
        orders = jax.random.uniform(key, gram.shape).argsort(1)
        return gradvac_weights(jax.lax.stop_gradient(gram), state, orders, self.beta)


def gradvac_weights(
    gram: jax.Array, targets: jax.Array, orders: jax.Array, beta: float
) -> tuple[jax.Array, jax.Array]:
    """GradVac's weights and next targets for given visiting orders.

    Args:
      gram: `[K, K]`.
      targets: `[K, K]`; row i holds the target cosines of task i.
      orders: `[K, K]`; row i is the order in which task i visits the tasks (including itself, which
        has no effect).
      beta: update rate of the targets.

    Returns:
      The weights `[K]` and the next targets `[K, K]`.

    Raises:
      AssertionError: if a shape is wrong, at trace time.
    """
    check_square(gram)
    chex.assert_shape([targets, orders], gram.shape)
    project_tasks = jax.vmap(project_task, (0, None, 0, 0, None))
    rows, updated = project_tasks(
        jnp.arange(len(gram)), normalize_gram(gram), targets.astype(gram.dtype), orders, beta
    )
    finite = jnp.isfinite(gram).all()
    weights = jnp.where(finite, rows.sum(0), jnp.nan)
    return weights, jnp.where(finite, updated.astype(targets.dtype), targets)


def project_task(
    task: jax.Array, gram: jax.Array, targets: jax.Array, order: jax.Array, beta: float
) -> tuple[jax.Array, jax.Array]:
    """Coefficients `[K]` of one task's gradient after its visits, and its next targets `[K]`."""
    epsilon, tiny = jnp.finfo(gram.dtype).eps, jnp.finfo(gram.dtype).tiny
    nonzero = jnp.diagonal(gram) >= tiny
    norms = jnp.sqrt(jnp.where(nonzero, jnp.diagonal(gram), 0.0))

    def visit(carry, other):
        coefficients, targets = carry
        inner = matvec(gram, coefficients)
        square = jnp.vdot(coefficients, inner, precision="highest")
        # The rounding residue of a cancelled gradient has no meaningful angle.
        noise = 8 * epsilon * jnp.square(jnp.vdot(jnp.abs(coefficients), norms))
        valid = (other != task) & nonzero[other] & (square > noise)
        norm = jnp.sqrt(jnp.where(valid, square, 1.0))
        other_norm = jnp.where(valid, norms[other], 1.0)
        cosine = jnp.clip(inner[other] / other_norm / norm, -1.0, 1.0)
        target = targets[other]
        multiple = step_length(cosine, target) * norm / other_norm
        step = jnp.where(valid & (cosine < target), multiple, 0.0)
        updated = jnp.where(valid, (1.0 - beta) * target + beta * cosine, target)
        return (coefficients.at[other].add(step), targets.at[other].set(updated)), None

    start = jnp.zeros_like(gram[0]).at[task].set(1.0)
    return jax.lax.scan(visit, (start, targets), order)[0]


def step_length(cosine: jax.Array, target: jax.Array) -> jax.Array:
    """Multiple of a unit vector to add to a unit vector at cosine `cosine` to reach `target`."""
    bound = 1.0 - jnp.finfo(target.dtype).eps ** 0.5
    target = jnp.clip(target, -bound, bound)
    return target * jnp.sqrt((1.0 - cosine**2) / (1.0 - target**2)) - cosine
