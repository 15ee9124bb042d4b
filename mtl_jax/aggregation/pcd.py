"""PCD: follow the first task's gradient as closely as a little progress of the others allows."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.quadratic import check_square, nonnegative_quadratic, product


class PCDState(NamedTuple):
    """Moving averages of the squared lengths, without the bias of their start."""

    squares: jax.Array  # [K]
    share: jax.Array  # [], what all steps so far have of the average's weight


@dataclasses.dataclass(frozen=True)
class PCD:
    """Priority-constrained descent: the first task comes first, the others may not suffer.

    `d = argmin ||d - h_1||` over `<h_j, d> >= tau ||h_j||^2` for all j but 1, where `h_i` is
    `g_i` over the root of a moving average of its squared length; then d is brought to the
    length of `g_1`. With the multipliers m, `d = h_1 + sum_j m_j h_j`: the weights are not
    negative, and d conflicts with no task but perhaps the first. The weights do not change if
    all gradients are scaled alike at every step, nor d if those of one other task are.

    The reference code adds 1e-8 to the average; here there is nothing to add, so that small
    gradients keep their balance. It takes constraints for contradictory by the angle between
    gradients; here they are if the solver leaves one of them short by half of tau or more.

    Degenerate gradients: a zero first one, and all zero, give zero weights, as does a d that
    is zero up to rounding (one opposed to the first, at tau = 0); other zero ones get weight 0;
    if the constraints contradict each other (two opposed ones among the others), `d = g_1`; for
    K = 1 the weight is 1. A NaN or an infinity in G makes all weights NaN and leaves the state
    as it was. No gradient flows into G. The reference weighs all parameters; here those of heads
    keep their own gradient. The order of the tasks matters.

    Attributes:
      tau: how much of the progress of its own normalised gradient each other task is sure of.
      beta: momentum of the averages.

    Raises:
      BadInput: for a tau that is not between 0 and 1, or a beta not below 1.

    Reference: Varam and AlHajri, Not All Objectives Are Born Equal: Priority-Constrained
      Descent for Hierarchical Multi-Objective Optimization, TMLR 2026 (https://arxiv.org/abs/2606.29521).
    """

    tau: float = 0.02
    beta: float = 0.999

    def __post_init__(self):
        require_number(self, tau=(0.0, 1.0), beta=(0.0, 1.0))
        require(self.beta < 1.0, self, "beta", "must be below 1.0", self.beta)

    def init(self, num_tasks: int) -> PCDState:
        """State before the first step: averages of nothing."""
        return PCDState(jnp.zeros(num_tasks, float), jnp.zeros((), float))

    def weigh_gram(
        self, gram: jax.Array, state: PCDState, key: jax.Array
    ) -> tuple[jax.Array, PCDState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and moves the averages."""
        check_square(gram)
        chex.assert_shape(state.squares, gram.shape[:1])
        gram = jax.lax.stop_gradient(gram)
        moved = self.averaged(jnp.diagonal(gram), state)
        finite = jnp.isfinite(gram).all()
        weights = prioritised(gram, moved.squares.astype(gram.dtype), self.tau)
        state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)
        return jnp.where(finite, weights, jnp.nan), state

    def averaged(self, squares: jax.Array, state: PCDState) -> PCDState:
        """The state after one more step; the first one's rate is 1."""
        share = self.beta * state.share + (1.0 - self.beta)
        rate = (1.0 - self.beta) / share
        change = squares.astype(state.squares.dtype) - state.squares
        return PCDState(state.squares + rate * change, share)


def prioritised(gram: jax.Array, squares: jax.Array, tau: float) -> jax.Array:
    """Weights `[K]` of PCD for given averages of the squared lengths, `[K]`."""
    there = squares >= jnp.finfo(gram.dtype).tiny
    scales = jnp.where(there, 1.0 / jnp.sqrt(jnp.where(there, squares, 1.0)), 0.0)
    matrix = gram * scales[:, None] * scales[None, :]
    first = jnp.zeros_like(scales).at[0].set(1.0)
    weights = first + multipliers(matrix, tau)
    noise = product(jnp.sqrt(jnp.diagonal(matrix))[None], weights)[0] ** 2
    square = jnp.vdot(weights, product(matrix, weights), precision="highest")
    some = square > 10 * jnp.finfo(gram.dtype).eps * noise
    length = jnp.sqrt(gram[0, 0]) / jnp.sqrt(jnp.where(some, square, 1.0))
    return jnp.where(some, weights * scales * length, 0.0)


def multipliers(matrix: jax.Array, tau: float) -> jax.Array:
    """Multipliers `[K]` of the constraints, 0 for the first; all 0 if they contradict."""
    others = jnp.ones_like(matrix[0]).at[0].set(0.0)
    inside = matrix * others[:, None] * others[None, :]
    wanted = others * (tau * jnp.diagonal(matrix) - matrix[0])
    found = nonnegative_quadratic(inside, wanted)
    # If a sum of some rows is zero, what is missing to their constraints has the same sum at
    # any multipliers: tau for each. If not, rounding is all that is missing.
    missing = wanted - product(inside, found)
    kept = (missing <= 0.5 * tau * jnp.diagonal(inside)).all() if tau > 0 else True
    return jnp.where(kept, found, 0.0)
