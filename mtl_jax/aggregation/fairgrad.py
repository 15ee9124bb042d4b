"""FairGrad: share the decrease of the losses alpha-fairly among the tasks."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.convex import fair_point


@dataclasses.dataclass(frozen=True)
class FairGrad:
    """Alpha-fair weights: `Gw = w^(-1/alpha)`, `w > 0`.

    The combination conflicts with no task. For alpha = 1 it is that of `NashMTL`; a smaller one
    comes nearer to the sum of the decreases, a larger one to the worst task's (as in `MGDA`).
    If all gradients are scaled by s, the weights are by `s^(-2 / (1 + 1/alpha))`. For alpha = 0
    it is the mean, `w = 1/K`, as in TorchJD, which may conflict. The weights of a small alpha
    are not near that: they go to 1 each, and where the sum conflicts with a task to what makes
    its decrease zero.

    The equation is solved to rounding, by Newton's method on its convex potential, where the
    reference code takes nonlinear least squares. Its runs multiply by K and clip the combined
    gradient to norm 1, which is left to the optimizer and to the run's scale here.

    Degenerate gradients: a zero one gets weight 0 and the others share alone; all zero, 1/K
    each; opposed ones have no finite solution, and a ridge of 32 epsilon times each squared
    length gives large weights that cancel; for K = 1 the weight is positive. A NaN or an
    infinity in G makes all weights NaN. No gradient flows into G. The reference weighs shared
    parameters; heads keep their own gradient.

    In float32 that ridge, 4e-6, is as much as `1 + cos` of two gradients about 0.003 radians
    from opposed: nearer to it the weights stop growing, and d may conflict with the longer one,
    at a cosine of some -1e-3. A gradient whose square is no normal number (a length below 1e-19,
    or 1e-19 of the longest one) counts as zero.

    Attributes:
      alpha: 0, or between 1e-4 and 100; beyond, float32 has no room for it.

    Raises:
      BadInput: for another alpha.

    Reference: Ban and Ji, Fair Resource Allocation in Multi-Task Learning, ICML 2024,
      Section 4 (https://arxiv.org/abs/2402.15638).
    """

    alpha: float = 2.0

    def __post_init__(self):
        require_number(self, alpha=(0.0, 100.0))
        rule = "must be 0 or lie between 0.0001 and 100"
        require(self.alpha == 0 or self.alpha >= 1e-4, self, "alpha", rule, self.alpha)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        equal = jnp.ones_like(gram[0])
        if self.alpha == 0:
            return jnp.where(jnp.isfinite(gram).all(), equal / len(gram), jnp.nan), state
        return fair_point(jax.lax.stop_gradient(gram), 1.0 / self.alpha, equal), state
