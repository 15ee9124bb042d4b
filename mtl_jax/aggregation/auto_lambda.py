"""Auto-lambda: weights that lower held-out losses after the step that they make."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.bilevel import OuterState, begin, descend, require_share
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class AutoLambda:
    """Bilevel weights: Adam goes down the held-out losses after a virtual training step.

    `w <- w - Adam(grad_w sum_(k primary) L_k^held(theta - rate grad_theta sum_i w_i L_i(theta)))`;
    the training step is then made with the new w. The slope in w is exact,
    `-rate <grad L^held(theta'), grad L_i(theta)>`; the authors take it by finite differences.
    Their virtual step also has the optimizer's momentum and weight decay, which is left out
    here; the rate is the run's. Their code draws the outer batch from the training set; here a
    share of the labelled examples is held out for it.

    The weights are of all parameters, heads too, and may become negative, as in the authors'
    code. Scaling all gradients by s > 0 scales the slope by s^2, of which Adam keeps little but
    the sign. A task without a gradient keeps its weight. If the slope is not finite, all
    weights are NaN and the state stays as it was. One step costs the virtual one, the
    held-out losses and their gradient, and one derivative along it.

    Attributes:
      primary: for each task, whether its held-out loss counts; None is all.
      held_out: share of the labelled examples that is held out.
      learning_rate: of Adam over the weights; 1e-4 for NYUv2 in the paper.
      start: the first weights.

    Raises:
      BadInput: for a share outside (0, 1), a rate or start below 0, or no primary task; from
        `init` if `primary` has another number of tasks.

    Reference: Liu et al., Auto-Lambda: Disentangling Dynamic Task Relationships, TMLR 2022, its
      section on the approximation by finite differences (https://arxiv.org/abs/2202.03091).
    """

    primary: tuple[bool, ...] | None = None
    held_out: float = 0.2
    learning_rate: float = 1e-4
    start: float = 0.1

    def __post_init__(self):
        require_share(self)
        require_number(self, start=(0.0, math.inf))
        some = self.primary is None or any(self.primary)
        require(some, self, "primary", "must have a task that counts", self.primary)

    def init(self, num_tasks: int) -> OuterState:
        """State before the first step: the first weights and Adam's zeros."""
        fits = self.primary is None or len(self.primary) == num_tasks
        require(fits, self, "primary", f"must be for {num_tasks} tasks", self.primary)
        return begin(jnp.full(num_tasks, self.start, float), self.learning_rate)

    def weigh_outer(
        self, outer: Callable[[jax.Array], jax.Array], state: OuterState, key: jax.Array
    ) -> tuple[jax.Array, OuterState]:
        """Maps held-out losses `[K]`, a function of the weights `[K]`, to weights, next state."""
        counts = jnp.array(self.primary or (True,) * state.values.size)

        def total(weights):
            return jnp.where(counts, outer(weights), 0.0).sum()

        slope = jax.grad(total)(state.values)
        state = descend(state, slope, self.learning_rate)
        return jnp.where(jnp.isfinite(slope).all(), state.values, jnp.nan), state
