"""MOML: weights that lower every task's held-out loss, by the shortest combination of slopes."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.bilevel import OuterState, begin, descend, require_share
from mtl_jax.solvers.quadratic import cosines, min_norm_point, product


@dataclasses.dataclass(frozen=True)
class MOML:
    """Multi-objective meta learning of the weights `w = softmax(z)`.

    `z <- z - Adam(sum_k m_k grad_z L_k^held(theta - rate grad_theta sum_i w_i L_i(theta)))`, where
    m is the point of least norm in the simplex over the K slopes, each brought to length 1
    first, as in the authors' code; the training step is then made with the new w. The virtual
    step is a plain one with the run's rate, and the slopes are exact. For the outer losses a
    share of the labelled examples is held out.

    The weights sum to 1, those of the heads too. How the gradients scale cancels in m, and Adam
    keeps little of it. A slope of zero is as in MGDA: the outer step is zero. If a slope is not
    finite, all weights are NaN and the state stays as it was. One step costs the virtual one and
    K backward passes through it.

    Attributes:
      held_out: share of the labelled examples that is held out.
      learning_rate: of Adam over z; 1e-3 in the authors' code.

    Raises:
      BadInput: for a share outside (0, 1) or a rate below 0.

    Reference: Ye et al., Multi-Objective Meta Learning, NeurIPS 2021, its section on multi-task
      learning (https://arxiv.org/abs/2102.07121).
    """

    held_out: float = 0.2
    learning_rate: float = 1e-3

    def __post_init__(self):
        require_share(self)

    def init(self, num_tasks: int) -> OuterState:
        """State before the first step: equal weights and Adam's zeros."""
        return begin(jnp.zeros(num_tasks, float), self.learning_rate)

    def weigh_outer(
        self, outer: Callable[[jax.Array], jax.Array], state: OuterState, key: jax.Array
    ) -> tuple[jax.Array, OuterState]:
        """Maps held-out losses `[K]`, a function of the weights `[K]`, to weights, next state."""
        slopes = jax.jacrev(lambda values: outer(jax.nn.softmax(values)))(state.values)
        finite = jnp.isfinite(slopes).all()
        gram = jnp.matmul(slopes, slopes.T, precision="highest")
        share = min_norm_point(cosines(gram)[0])
        slope = jnp.where(finite, product(slopes.T, share), jnp.nan)
        state = descend(state, slope, self.learning_rate)
        return jnp.where(finite, jax.nn.softmax(state.values), jnp.nan), state
