"""MGDA: the shortest convex combination of the gradients, solved exactly."""

import dataclasses
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.solvers.quadratic import check_square, cosines, min_norm_point, unit_scale

Normalise = Literal["none", "l2", "loss", "loss+"]


@dataclasses.dataclass(frozen=True)
class MGDA:
    """Multiple gradient descent: `w = argmin w'Hw` over `w >= 0, sum w = 1`.

    `H_ij = G_ij / (n_i n_j)`, where n_i is 1 ("none"), `||g_i||` ("l2"), `L_i` ("loss") or
    `L_i ||g_i||` ("loss+"). As in the reference code, the weights of the normalised gradients
    are then those of the gradients as they are. Without normalisation the combination conflicts
    with no task, `Gw >= w'Gw`, and among gradients of different length the short ones decide; a
    normalised one may conflict. The weights sum to 1 and do not change if all gradients, or all
    losses, are scaled alike.

    The reference code's approximations (Frank-Wolfe, line search) are replaced by an exact
    solver. Degenerate gradients: a zero one takes all the weight; opposed ones give a zero
    combination (of their normalised form); if the weights are not unique, one choice is taken;
    all zero, `1/K` each; for K = 1 the weight is 1. A loss counts by its absolute value, and as
    at least epsilon times the largest one; before any was read, as 1. A NaN or an infinity in G
    or in a loss that counts makes all weights NaN. No gradient flows into G or the losses. The
    reference weighs shared parameters; heads keep their own gradient.

    Attributes:
      normalise: what gradients are divided by before the problem is solved; the authors' runs
        take "loss+" and "l2" on some data sets.

    Raises:
      BadInput: for another normalisation.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Eq. 3 (https://arxiv.org/abs/1810.04650), after Desideri, Multiple-Gradient Descent
      Algorithm, 2012.
    """

    normalise: Normalise = "none"

    def __post_init__(self):
        kinds = get_args(Normalise)
        known = isinstance(self.normalise, str) and self.normalise in kinds
        require(known, self, "normalise", f"must be one of {', '.join(kinds)}", self.normalise)

    def init(self, num_tasks: int) -> jax.Array | tuple[()]:
        """State before the first step: losses of 1 if they matter, else none."""
        return jnp.ones(num_tasks, float) if "loss" in self.normalise else ()

    def read_losses(self, losses: jax.Array, state: jax.Array | tuple[()]) -> jax.Array | tuple[()]:
        """Keeps the losses `[K]` of this step if they matter."""
        if "loss" not in self.normalise:
            return state
        return jax.lax.stop_gradient(losses).astype(state.dtype)

    def weigh_gram(
        self, gram: jax.Array, state: jax.Array | tuple[()], key: jax.Array
    ) -> tuple[jax.Array, jax.Array | tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        gram = jax.lax.stop_gradient(gram)
        matrix = cosines(gram)[0] if self.normalise in ("l2", "loss+") else gram
        if "loss" in self.normalise:
            inverse = inverse_sizes(state).astype(gram.dtype)
            matrix = unit_scale(matrix) * inverse[:, None] * inverse[None, :]
        return min_norm_point(matrix), state


def inverse_sizes(losses: jax.Array) -> jax.Array:
    """The largest absolute loss over each one `[K]`, at most one over epsilon."""
    sizes = jnp.abs(losses)
    largest = jnp.where(sizes.max() == 0, 1.0, sizes.max())
    finite = jnp.isfinite(losses).all()
    least = jnp.finfo(losses.dtype).eps
    sizes = jnp.where(sizes.max() == 0, 1.0, jnp.maximum(sizes / largest, least))
    return jnp.where(finite, 1.0 / sizes, jnp.nan)
