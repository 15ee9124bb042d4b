"""MOML: bilevel weights by multi-objective descent on the held-out losses."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.bilevel import BilevelState, init_bilevel, require_held_out, update
from mtl_jax.core.balancing import BilevelWeighting
from mtl_jax.solvers.quadratic import cosines, matvec, min_norm_point


@dataclasses.dataclass(frozen=True)
class MOML(BilevelWeighting):
    """Multi-objective meta learning of the weights `w = softmax(z)`.

    `z <- z - Adam(sum_k m_k grad_z L_k^held(theta - rate grad_theta sum_i w_i L_i(theta)))`, where
    m is the minimum-norm point in the simplex over the K gradients with respect to z, each first
    normalized to norm 1, as in the authors' code; the training step then uses the new w. The
    virtual step is a plain gradient step with the run's learning rate, and the derivatives are
    exact. For the outer losses a fraction of the labelled examples is held out.

    The weights sum to 1, also for the heads. The scale of the gradients cancels in m, and Adam
    largely normalizes it in z. A zero derivative acts as in MGDA: the outer step is zero. If a
    derivative is not finite, all weights are NaN and the state is unchanged. Each step costs the
    virtual step and K backward passes through it.

    Attributes:
      held_out: fraction of the labelled examples that is held out.
      learning_rate: Adam learning rate for z; 1e-3 in the authors' code.

    Raises:
      BadInput: for a fraction outside (0, 1) or a negative learning rate.

    Reference: Ye et al., Multi-Objective Meta Learning, NeurIPS 2021, its section on multi-task
      learning (https://arxiv.org/abs/2102.07121).
    """

    held_out: float = 0.2
    learning_rate: float = 1e-3

    def __post_init__(self):
        require_held_out(self)

    def init(self, num_tasks: int) -> BilevelState:
        """Initial state: equal weights and zero Adam moments."""
        return init_bilevel(jnp.zeros(num_tasks, float), self.learning_rate)

    def weigh_outer(
        self, outer: Callable[[jax.Array], jax.Array], state: BilevelState, key: jax.Array
    ) -> tuple[jax.Array, BilevelState]:
        """Maps held-out losses `[K]`, a function of the weights `[K]`, to weights and state."""
        jacobian = jax.jacrev(lambda values: outer(jax.nn.softmax(values)))(state.values)
        finite = jnp.isfinite(jacobian).all()
        gram = jnp.matmul(jacobian, jacobian.T, precision="highest")
        coefficients = min_norm_point(cosines(gram)[0])
        gradient = jnp.where(finite, matvec(jacobian.T, coefficients), jnp.nan)
        state = update(state, gradient, self.learning_rate)
        return jnp.where(finite, jax.nn.softmax(state.values), jnp.nan), state
