"""FairGrad: alpha-fair allocation of the loss decrease among the tasks."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.convex import solve_alpha_fair


@dataclasses.dataclass(frozen=True)
class FairGrad(GramWeighting):
    """Alpha-fair weights: `Gw = w^(-1/alpha)`, `w > 0`.

    The combination conflicts with no task. alpha = 1 gives that of `NashMTL`; a smaller alpha
    approaches the sum of the decreases, a larger one the worst task's decrease (as in `MGDA`). If
    all gradients are scaled by s, the weights scale by `s^(-2 / (1 + 1/alpha))`. alpha = 0 gives
    the mean, `w = 1/K`, as in TorchJD, which may conflict. The weights for a small alpha are not
    close to that: they tend to 1 each and, where the sum conflicts with a task, to the weights that
    make that task's decrease zero.

    The equation is solved to machine precision by Newton's method on its convex potential, where
    the reference code uses nonlinear least squares. The reference runs multiply by K and clip the
    combined gradient to norm 1; here that is left to the optimizer and the run's scale.

    Degenerate gradients: a zero gradient gets weight 0 and the others share the decrease; if all
    are zero, 1/K each; opposed gradients have no finite solution, and a ridge of 32 epsilon times
    each squared norm gives large weights that cancel; for K = 1 the weight is positive. A NaN or
    infinity in G makes all weights NaN. There is no gradient with respect to G. As in the
    reference, only gradients of shared parameters are weighted; heads keep their own gradients.

    In float32 that ridge, 4e-6, equals `1 + cos` of two gradients about 0.003 radians from being
    opposed: closer than that the weights stop growing, and d may conflict with the larger gradient,
    at a cosine of about -1e-3. A gradient whose squared norm is not a normal floating-point number
    (a norm below 1e-19, or below 1e-19 times the largest) is treated as zero.

    Attributes:
      alpha: 0, or between 1e-4 and 100; other values exceed the range of float32.

    Raises:
      BadInput: for an alpha outside this range.

    Reference: Ban and Ji, Fair Resource Allocation in Multi-Task Learning, ICML 2024,
      Section 4 (https://arxiv.org/abs/2402.15638).
    """

    alpha: float = 2.0

    def __post_init__(self):
        require_number(self, alpha=(0.0, 100.0))
        rule = "must be 0 or lie between 0.0001 and 100"
        require(self.alpha == 0 or self.alpha >= 1e-4, self, "alpha", rule, self.alpha)

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        equal = jnp.ones_like(gram[0])
        if self.alpha == 0:
            return jnp.where(jnp.isfinite(gram).all(), equal / len(gram), jnp.nan), state
        return solve_alpha_fair(jax.lax.stop_gradient(gram), 1.0 / self.alpha, equal), state
