"""Auto-Lambda: bilevel task weights that minimize held-out losses after a virtual training step."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.bilevel import BilevelState, init_bilevel, require_held_out, update
from mtl_jax.core.balancing import BilevelWeighting
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class AutoLambda(BilevelWeighting):
    """Bilevel weights trained with Adam on the held-out losses after a virtual training step.

    `w <- w - Adam(grad_w sum_(k primary) L_k^held(theta - rate grad_theta sum_i w_i L_i(theta)))`;
    the training step then uses the new w. The derivative with respect to w is exact,
    `-rate <grad L^held(theta'), grad L_i(theta)>`; the authors use finite differences. Their
    virtual step also includes the optimizer's momentum and weight decay, which are omitted here;
    the rate is the run's learning rate. Their code samples the outer batch from the training set;
    here a fraction of the labelled examples is held out for it.

    The weights apply to all parameters, including heads, and may become negative, as in the
    authors' code. Scaling all gradients by s > 0 scales the derivative by s^2, which Adam mostly
    normalizes away. A task without a gradient keeps its weight. If the derivative is not finite,
    all weights are NaN and the state is unchanged. Each step costs the virtual step, the held-out
    losses and their gradient, and one directional derivative along it.

    Attributes:
      primary: for each task, whether its held-out loss is included; None means all.
      held_out: fraction of the labelled examples that is held out.
      learning_rate: Adam learning rate for the weights; 1e-4 for NYUv2 in the paper.
      start: initial value of the weights.

    Raises:
      BadInput: for a fraction outside (0, 1), a negative learning rate or start, or no primary
        task; from `init` if `primary` has a different number of tasks.

    Reference: Liu et al., Auto-Lambda: Disentangling Dynamic Task Relationships, TMLR 2022, its
      section on the approximation by finite differences (https://arxiv.org/abs/2202.03091).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> def heldout_losses(weights):
      ...     return jnp.stack([1.0 - weights[0], 1.0 + weights[1]])
      >>> method = aggregation.AutoLambda(learning_rate=0.01)
      >>> weights, _ = method.weigh_outer(heldout_losses, method.init(2), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.11, 0.09]
    """

    primary: tuple[bool, ...] | None = None
    held_out: float = 0.2
    learning_rate: float = 1e-4
    start: float = 0.1

    def __post_init__(self):
        require_held_out(self)
        require_number(self, start=(0.0, math.inf))
        has_primary = self.primary is None or any(self.primary)
        require(has_primary, self, "primary", "must have a task that counts", self.primary)

    def init(self, num_tasks: int) -> BilevelState:
        """Initial state: the initial weights and zero Adam moments."""
        fits = self.primary is None or len(self.primary) == num_tasks
        require(fits, self, "primary", f"must be for {num_tasks} tasks", self.primary)
        return init_bilevel(jnp.full(num_tasks, self.start, float), self.learning_rate)

    def weigh_outer(
        self, outer: Callable[[jax.Array], jax.Array], state: BilevelState, key: jax.Array
    ) -> tuple[jax.Array, BilevelState]:
        """Maps held-out losses `[K]`, a function of the weights `[K]`, to weights and state."""
        primary = jnp.array(self.primary or (True,) * state.values.size)

        def objective(weights):
            return jnp.where(primary, outer(weights), 0.0).sum()

        gradient = jax.grad(objective)(state.values)
        state = update(state, gradient, self.learning_rate)
        return jnp.where(jnp.isfinite(gradient).all(), state.values, jnp.nan), state
