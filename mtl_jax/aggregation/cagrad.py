"""CAGrad: the update near the mean gradient that maximizes the worst task's improvement."""

import dataclasses
import math
from typing import Literal, get_args

import jax

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.cagrad import solve_cagrad

Rescale = Literal["none", "one_plus_square", "one_plus"]


@dataclasses.dataclass(frozen=True)
class CAGrad(GramWeighting):
    """Conflict-averse gradient: `d = argmax min_i <g_i, d>` over `||d - g_0|| <= c ||g_0||`.

    g_0 is the mean gradient. By duality `d = g_0 + c ||g_0|| g_v / ||g_v||`, where v on the simplex
    minimizes `<g_0, g_v> + c ||g_0|| ||g_v||`; the weights are therefore at least 1/K each (before
    rescaling) and are invariant to scaling all gradients by the same factor. c = 0 gives the mean;
    for c >= 1, d conflicts with no task, and as c grows its direction approaches that of `MGDA`.

    The problem is solved to machine precision by an active-set method. The reference code divides
    by `||g_v||` plus a small constant, which shrinks the update near a stationary point; here the
    constant is a ridge relative to each squared norm.

    Degenerate gradients: a zero gradient keeps the weight 1/K, and d is then the vector nearest to
    g_0 that conflicts with no other task; if all are zero, 1/K each; opposed gradients cancel for c
    >= 1, possibly with large weights; if the weights are not unique, one solution is returned; for
    K = 1 the weight is `1 + c`. A NaN or infinity in G makes all weights NaN. There is no gradient
    with respect to G. As in the reference, only gradients of shared parameters are weighted; heads
    keep their own gradients.

    Attributes:
      c: radius of the ball, relative to the norm of the mean; the paper uses 0.4 and 0.2.
      rescale: divisor of d: none, as in the paper ("none"); `1 + c^2`, the default of the authors'
        code; or `1 + c`, as in their toy problem. The authors' code also multiplies by K.

    Raises:
      BadInput: for a negative c or an unknown rescaling.

    Reference: Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS
      2021, Eq. 3 and Algorithm 1 (https://arxiv.org/abs/2110.14048).
    """

    c: float = 0.5
    rescale: Rescale = "none"

    def __post_init__(self):
        require_number(self, c=(0.0, math.inf))
        names = get_args(Rescale)
        valid = isinstance(self.rescale, str) and self.rescale in names
        require(valid, self, "rescale", f"must be one of {', '.join(names)}", self.rescale)

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        divisor = {"none": 1.0, "one_plus_square": 1.0 + self.c**2, "one_plus": 1.0 + self.c}
        return solve_cagrad(jax.lax.stop_gradient(gram), self.c) / divisor[self.rescale], state
