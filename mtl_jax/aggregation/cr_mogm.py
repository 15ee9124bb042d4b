"""CR-MOGM: a moving average of another method's weights."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.upgrad import UPGrad
from mtl_jax.core.balancing import Balancer, BalancerWrapper, weighs_gram, weighs_losses
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import are_numbers, require, require_number


class CRMOGMState(NamedTuple):
    """State of the wrapped method and the moving average of its weights."""

    inner: Tree
    weights: jax.Array  # [K]
    initialized: jax.Array  # [], whether the average has a value


@dataclasses.dataclass(frozen=True)
class CRMOGM(BalancerWrapper):
    """Correlation-reduced gradient manipulation: `w_t = a w_{t-1} + (1 - a) v_t`, `w_0 = v_1`.

    v are the weights of another method. The wrapper takes losses or a Gram matrix, like that
    method, at the same cost; `pre_step` and `post_step` are forwarded. Weights that depend less on
    the current batch make the combined gradient less biased. The paper (Corollary 1) lets a
    increase to 1 as the learning rate decreases; here it is constant. If v is invariant to scaling
    all gradients by the same factor, so is w. A no-conflict guarantee of the method is lost, except
    for the first step (without initial weights).

    Degenerate gradients: as in the wrapped method. Where v is not finite, w is NaN and the average
    is unchanged. There is no gradient with respect to losses or G. Heads are treated as in the
    wrapped method.

    Attributes:
      method: a loss weighting or a Gram weighting.
      momentum: a.
      initial: `w_0`, one number per task; None means `v_1`, so that the first weights are the
        method's own.

    Raises:
      BadInput: for a method of another family, a momentum outside [0, 1], initial weights that are
        not a tuple of numbers or, from `init`, whose length is not K.

    Reference: Zhou et al., On the Convergence of Stochastic Multi-Objective Gradient
      Manipulation and Beyond, NeurIPS 2022
      (https://proceedings.neurips.cc/paper_files/paper/2022/hash/f91bd64a3620aad8e70a27ad9cb3ca57-Abstract-Conference.html).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation, weighting
      >>> method = aggregation.CRMOGM(weighting.LogSum(), momentum=0.5, initial=(1.0, 1.0))
      >>> losses, state = jnp.array([0.5, 2.0]), method.init(2)
      >>> weights, state = method.weigh_losses(losses, state, jax.random.key(0))
      >>> weights.tolist()
      [1.5, 0.75]
    """

    method: Balancer = dataclasses.field(default=UPGrad())
    momentum: float = 0.9
    initial: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0))
        valid = self.initial is None or are_numbers(self.initial)
        rule = "must be a tuple of finite numbers, or None"
        require(valid, self, "initial", rule, self.initial)
        valid = isinstance(self.method, Balancer) and self.method.access in ("losses", "gramian")
        valid = valid and self.method.inner is self.method
        rule = "must be a weighting of losses or of Gram matrices"
        require(valid, self, "method", rule, self.method)

    def init(self, num_tasks: int) -> CRMOGMState:
        """Initial state: that of the wrapped method, and the initial weights, if given."""
        inner = self.method.init(num_tasks)
        if self.initial is None:
            return CRMOGMState(inner, jnp.zeros(num_tasks, float), jnp.bool_(False))
        fits = len(self.initial) == num_tasks
        require(fits, self, "initial", f"must have {num_tasks} numbers", self.initial)
        return CRMOGMState(inner, jnp.array(self.initial, float), jnp.bool_(True))

    def weigh_losses(
        self, losses: jax.Array, state: CRMOGMState, key: jax.Array
    ) -> tuple[jax.Array, CRMOGMState]:
        """Maps losses `[K]` to smoothed weights `[K]`, for a wrapped loss weighting."""
        assert weighs_losses(self.method)
        chex.assert_axis_dimension(losses, 0, len(state.weights))
        return self.smooth(self.method.weigh_losses(losses, state.inner, key), state)

    def weigh_gram(
        self, gram: jax.Array, state: CRMOGMState, key: jax.Array
    ) -> tuple[jax.Array, CRMOGMState]:
        """Maps a Gram matrix `[K, K]` to smoothed weights `[K]`, for a wrapped Gram weighting."""
        assert weighs_gram(self.method)
        chex.assert_axis_dimension(gram, 0, len(state.weights))
        return self.smooth(self.method.weigh_gram(gram, state.inner, key), state)

    def pre_step(self, losses: jax.Array, state: CRMOGMState) -> CRMOGMState:
        """Forwards to the wrapped method and returns the next state."""
        return state._replace(inner=self.method.pre_step(losses, state.inner))

    def post_step(self, losses: jax.Array, state: CRMOGMState) -> CRMOGMState:
        """Forwards to the wrapped method and returns the next state."""
        return state._replace(inner=self.method.post_step(losses, state.inner))

    def smooth(
        self, weighted: tuple[jax.Array, Tree], state: CRMOGMState
    ) -> tuple[jax.Array, CRMOGMState]:
        """Smoothed weights `[K]`, from the weights and the next state of the wrapped method."""
        weights, inner = weighted
        new = jax.lax.stop_gradient(weights).astype(state.weights.dtype)
        average = self.momentum * state.weights + (1.0 - self.momentum) * new
        average = jnp.where(state.initialized, average, new)
        finite = jnp.isfinite(new).all()
        smoothed = jnp.where(finite, average, jnp.nan).astype(weights.dtype)
        average = jnp.where(finite, average, state.weights)
        return smoothed, CRMOGMState(inner, average, state.initialized | finite)
