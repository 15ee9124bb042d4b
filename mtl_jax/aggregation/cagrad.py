"""CAGrad: the step near the mean gradient that serves the worst task best, solved exactly."""

import dataclasses
import math
from typing import Literal, get_args

import jax

from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.convex import ball_point

Rescale = Literal["none", "one_plus_square", "one_plus"]


@dataclasses.dataclass(frozen=True)
class CAGrad:
    """Conflict-averse gradient: `d = argmax min_i <g_i, d>` over `||d - g_0|| <= c ||g_0||`.

    g_0 is the mean. By duality `d = g_0 + c ||g_0|| g_v / ||g_v||`, where v on the simplex
    minimises `<g_0, g_v> + c ||g_0|| ||g_v||`; so the weights are at least 1/K each (before
    rescaling), and do not change if all gradients are scaled alike. For c = 0 this is the
    mean; for c >= 1 d conflicts with no task, and as c grows it turns to that of `MGDA`.

    The problem is solved to rounding by an active-set method. The reference code divides by
    `||g_v||` plus a small constant, which shortens the step near a stationary point; here the
    constant is a ridge relative to each squared length.

    Degenerate gradients: a zero one keeps the weight 1/K, and d is then the vector nearest to
    g_0 that conflicts with no other task; all zero, 1/K each; opposed ones cancel for c >= 1, by
    weights that may be large; if the weights are not unique, one choice is taken; for K = 1 the
    weight is `1 + c`. A NaN or an infinity in G makes all weights NaN. No gradient flows into
    G. The reference weighs shared parameters; heads keep their own gradient.

    Attributes:
      c: radius of the ball, relative to the mean; the paper takes 0.4 and 0.2.
      rescale: what d is divided by: nothing, as in the paper ("none"); `1 + c^2`, the default
        of the authors' code; `1 + c`, as in their toy problem. They also multiply by K.

    Raises:
      BadInput: for a negative c or another rescaling.

    Reference: Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS
      2021, Eq. 3 and Algorithm 1 (https://arxiv.org/abs/2110.14048).
    """

    c: float = 0.5
    rescale: Rescale = "none"

    def __post_init__(self):
        require_number(self, c=(0.0, math.inf))
        kinds = get_args(Rescale)
        known = isinstance(self.rescale, str) and self.rescale in kinds
        require(known, self, "rescale", f"must be one of {', '.join(kinds)}", self.rescale)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        divisor = {"none": 1.0, "one_plus_square": 1.0 + self.c**2, "one_plus": 1.0 + self.c}
        return ball_point(jax.lax.stop_gradient(gram), self.c) / divisor[self.rescale], state
