"""MGDA: the shortest convex combination of the gradients, solved exactly."""

import dataclasses

import jax

from mtl_jax.solvers import min_norm_point


@dataclasses.dataclass(frozen=True)
class MGDA:
    """Multiple gradient descent: `w = argmin w'Gw` over `w >= 0, sum w = 1`.

    The combination conflicts with no task, `Gw >= w'Gw`. The weights sum to 1 and do not change
    if all gradients are scaled alike; among gradients of different length the short ones decide.
    The reference code's approximations (Frank-Wolfe, line search) are replaced by an exact
    solver. Degenerate gradients: a zero one takes all the weight; opposed ones give a zero
    combination; if the weights are not unique, one choice is taken; all zero, `1/K` each; for
    K = 1 the weight is 1. A NaN or an infinity in G makes all weights NaN. No gradient flows
    into G. The reference weighs shared parameters; heads keep their own gradient.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Eq. 3 (https://arxiv.org/abs/1810.04650), after Desideri, Multiple-Gradient Descent
      Algorithm, 2012.
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        return min_norm_point(jax.lax.stop_gradient(gram)), state
