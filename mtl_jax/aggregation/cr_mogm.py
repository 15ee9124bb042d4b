"""CR-MOGM: another method's weights, averaged over the steps."""

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.upgrad import UPGrad
from mtl_jax.core.protocols import GramWeighting, LossWeighting
from mtl_jax.core.validation import are_numbers, require, require_number


class CRMOGMState(NamedTuple):
    """The other method's state, and the average of its weights."""

    inner: Any
    weights: jax.Array  # [K]
    begun: jax.Array  # [], whether there is anything to average with


@dataclasses.dataclass(frozen=True)
class CRMOGM:
    """Correlation-reduced gradient manipulation: `w_t = a w_{t-1} + (1 - a) v_t`, `w_0 = v_1`.

    v are the weights of another method. It takes losses or a Gram matrix, as that does, at that
    price, and offers `read_losses` and `observe` if that does. Weights that hang less on the
    batch at hand make the combined gradient less biased. The paper (Corollary 1) lets a rise to
    1 as the learning rate falls; here it stays. If v does not change when all gradients are
    scaled alike, w does not. That the method never conflicts is lost, but for the first step
    (without initial weights).

    Degenerate gradients: as in the method. Where v is not finite, w is NaN, and the average
    stays as it was. No gradient flows into losses or G. Heads are as in the method.

    Attributes:
      method: a loss weighting or a Gram weighting.
      momentum: a.
      initial: `w_0`, one number for each task; None is `v_1`, so that the first weights are the
        method's own.

    Raises:
      BadInput: for a method of another joint, a momentum that is not between 0 and 1, or initial
        weights that are no tuple of numbers, or, when initialised, not K of them.

    Reference: Zhou et al., On the Convergence of Stochastic Multi-Objective Gradient
      Manipulation and Beyond, NeurIPS 2022
      (https://proceedings.neurips.cc/paper_files/paper/2022/hash/f91bd64a3620aad8e70a27ad9cb3ca57-Abstract-Conference.html).
    """

    method: GramWeighting | LossWeighting = dataclasses.field(default=UPGrad())
    momentum: float = 0.9
    initial: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0))
        fine = self.initial is None or are_numbers(self.initial)
        rule = "must be a tuple of finite numbers, or None"
        require(fine, self, "initial", rule, self.initial)
        one = isinstance(self.method, GramWeighting) != isinstance(self.method, LossWeighting)
        one = one and not isinstance(self.method, type)
        rule = "must be a weighting of losses or of Gram matrices"
        require(one, self, "method", rule, self.method)
        # By their verbs the joints tell methods apart, so an object has those of its method only.
        for verb, own in (
            ("weigh_losses", self.smooth),
            ("weigh_gram", self.smooth),
            ("read_losses", functools.partial(self.tell, "read_losses")),
            ("observe", functools.partial(self.tell, "observe")),
        ):
            if hasattr(self.method, verb):
                object.__setattr__(self, verb, own)

    def init(self, num_tasks: int) -> CRMOGMState:
        """State before the first step: the method's, and the initial weights, if there are any."""
        inner = self.method.init(num_tasks)
        if self.initial is None:
            return CRMOGMState(inner, jnp.zeros(num_tasks, float), jnp.bool_(False))
        fits = len(self.initial) == num_tasks
        require(fits, self, "initial", f"must have {num_tasks} numbers", self.initial)
        return CRMOGMState(inner, jnp.array(self.initial, float), jnp.bool_(True))

    def smooth(
        self, given: jax.Array, state: CRMOGMState, key: jax.Array
    ) -> tuple[jax.Array, CRMOGMState]:
        """The verb of its method: maps losses or a Gram matrix to weights `[K]`."""
        chex.assert_axis_dimension(given, 0, len(state.weights))
        by_losses = isinstance(self.method, LossWeighting)
        weigh = self.method.weigh_losses if by_losses else self.method.weigh_gram
        weights, inner = weigh(given, state.inner, key)
        new = jax.lax.stop_gradient(weights).astype(state.weights.dtype)
        mixed = self.momentum * state.weights + (1.0 - self.momentum) * new
        mixed = jnp.where(state.begun, mixed, new)
        finite = jnp.isfinite(new).all()
        kept = jnp.where(finite, mixed, state.weights)
        smoothed = jnp.where(finite, mixed, jnp.nan).astype(weights.dtype)
        return smoothed, CRMOGMState(inner, kept, state.begun | finite)

    def tell(self, verb: str, losses: jax.Array, state: CRMOGMState) -> CRMOGMState:
        """Lets its method hear of losses `[K]`."""
        return state._replace(inner=getattr(self.method, verb)(losses, state.inner))
