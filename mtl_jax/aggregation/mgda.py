"""MGDA: the minimum-norm convex combination of the gradients, solved exactly."""

import dataclasses
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require
from mtl_jax.solvers.quadratic import check_square, cosines, min_norm_point, normalize_gram

Normalization = Literal["none", "l2", "loss", "loss+"]
MGDAState = jax.Array | tuple[()]  # The losses [K] of the current step, if they are used.


@dataclasses.dataclass(frozen=True)
class MGDA(GramWeighting):
    """Multiple-gradient descent: `w = argmin w'Hw` over `w >= 0, sum w = 1`.

    `H_ij = G_ij / (n_i n_j)`, where n_i is 1 ("none"), `||g_i||` ("l2"), `L_i` ("loss") or
    `L_i ||g_i||` ("loss+"). As in the reference code, the weights found for the normalized
    gradients are then applied to the unnormalized ones. Without normalization the combination
    conflicts with no task, `Gw >= w'Gw`, and gradients of small norm dominate; with normalization
    it may conflict. The weights sum to 1 and are invariant to scaling all gradients, or all losses,
    by the same factor.

    The reference code's approximations (Frank-Wolfe, line search) are replaced by an exact solver.
    Degenerate gradients: a zero gradient takes all the weight; opposed gradients give a zero
    combination (of their normalized forms); if the weights are not unique, one solution is
    returned; if all are zero, `1/K` each; for K = 1 the weight is 1. A loss enters by its absolute
    value, bounded below by epsilon times the largest one; before any loss is observed, it is 1. A
    NaN or infinity in G or in a loss that is used makes all weights NaN. There is no gradient with
    respect to G or the losses. As in the reference, only gradients of shared parameters are
    weighted; heads keep their own gradients.

    Attributes:
      normalization: divisor of the gradients before the problem is solved; the authors' experiments
        use "loss+" and "l2" on some data sets.

    Raises:
      BadInput: for an unknown normalization.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Eq. 3 (https://arxiv.org/abs/1810.04650), after Desideri, Multiple-Gradient Descent
      Algorithm, 2012.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.MGDA(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
      >>> weights, _ = method.weigh_gram(gram, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.2, 0.8]
    """

    normalization: Normalization = "none"

    def __post_init__(self):
        names = get_args(Normalization)
        valid = isinstance(self.normalization, str) and self.normalization in names
        require(
            valid, self, "normalization", f"must be one of {', '.join(names)}", self.normalization
        )

    def init(self, num_tasks: int) -> MGDAState:
        """Initial state: losses of 1 if they are used, else empty."""
        return jnp.ones(num_tasks, float) if "loss" in self.normalization else ()

    def pre_step(self, losses: jax.Array, state: MGDAState) -> MGDAState:
        """Stores the losses `[K]` of the current step if they are used."""
        if "loss" not in self.normalization:
            return state
        assert not isinstance(state, tuple)
        return jax.lax.stop_gradient(losses).astype(state.dtype)

    def weigh_gram(
        self, gram: jax.Array, state: MGDAState, key: jax.Array
    ) -> tuple[jax.Array, MGDAState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        gram = jax.lax.stop_gradient(gram)
        matrix = cosines(gram)[0] if self.normalization in ("l2", "loss+") else gram
        if "loss" in self.normalization:
            assert not isinstance(state, tuple)
            inverse = inverse_magnitudes(state).astype(gram.dtype)
            matrix = normalize_gram(matrix) * inverse[:, None] * inverse[None, :]
        return min_norm_point(matrix), state


def inverse_magnitudes(losses: jax.Array) -> jax.Array:
    """The largest absolute loss divided by each one `[K]`, at most 1 / epsilon."""
    magnitudes = jnp.abs(losses)
    largest = jnp.where(magnitudes.max() == 0, 1.0, magnitudes.max())
    finite = jnp.isfinite(losses).all()
    epsilon = jnp.finfo(losses.dtype).eps
    relative = jnp.maximum(magnitudes / largest, epsilon)
    relative = jnp.where(magnitudes.max() == 0, 1.0, relative)
    return jnp.where(finite, 1.0 / relative, jnp.nan)
