"""Dash: pseudo-labels whose loss is below a threshold that decreases during training."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.losses import cross_entropy, soft_cross_entropy


class DashState(NamedTuple):
    """The labelled loss at the end of the warm-up."""

    step: jax.Array  # [], steps done
    total: jax.Array  # [], sum of the measured losses
    count: jax.Array  # [], number of labels in the sum


@dataclasses.dataclass(frozen=True)
class Dash(AuxiliaryLoss):
    """Dash: a pseudo-label counts while the weak view's own loss on it is small enough.

    `1[H(t, weak) <= rho] H(t, strong)` with `rho = max(C gamma^-k rho_hat, rho_min)`, where k is
    the number of completed intervals of `every` steps since the warm-up. The target t is the
    sharpened prediction for the weak view, `softmax(z / T)`, until rho reaches rho_min, and its
    most probable class from then on. During the warm-up the unlabelled loss is 0.

    rho_hat is the mean cross-entropy of the labelled training examples in the last `window`
    steps of the warm-up, `log C` if none of them had its label. (USB uses the loss on the test
    data there.) No gradient with respect to the weak view or the threshold. Any leading shape.

    Attributes:
      warm_up: steps with labelled data only.
      window: steps, the last of the warm-up, in which rho_hat is measured.
      initial_loss: rho_hat, if it is known; then nothing is measured.
      factor: C.
      gamma: divisor of the threshold.
      every: steps between thresholds; 10 times 1024 as in USB.
      min_threshold: rho_min, nats.
      temperature: T.
      weight: of the mean over all U examples.

    Raises:
      BadInput: for a setting out of range, or a window longer than the warm-up.

    Reference: Xu et al., Dash, ICML 2021, dynamic threshold (https://arxiv.org/abs/2109.00650).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.Dash(initial_loss=1.0, warm_up=0, every=100)
      >>> state = method.init(DatasetSizes(10, 1000, 40))
      >>> states = [state._replace(step=jnp.array(step)) for step in (0, 100, 200)]
      >>> [round(float(method.threshold(state, 10)), 2) for state in states]
      [1.0, 0.79, 0.62]
    """

    warm_up: int = 2048
    window: int = 512
    initial_loss: float | None = None
    factor: float = 1.0001
    gamma: float = 1.27
    every: int = 10240
    min_threshold: float = 0.05
    temperature: float = 0.5
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("labelled", "weak", "strong")

    def __post_init__(self):
        require_int(self, warm_up=0, window=1, every=1)
        positive = (1e-6, math.inf)
        require_number(self, factor=positive, gamma=(1.0, math.inf), temperature=positive)
        require_number(self, min_threshold=(0.0, math.inf), weight=(0.0, math.inf))
        if self.initial_loss is None:
            fits = self.window <= self.warm_up
            require(fits, self, "window", f"must be at most warm_up ({self.warm_up})", self.window)
        else:
            require_number(self, initial_loss=(0.0, math.inf))

    def init(self, sizes: DatasetSizes) -> DashState:
        """Returns the initial state."""
        return DashState(jnp.zeros((), jnp.int32), *(jnp.zeros((), float) for _ in range(2)))

    def update(self, views: AuxInputs, state: DashState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        weak = jax.lax.stop_gradient(views.outputs("weak"))
        rho = self.threshold(state, weak.shape[-1])
        mask, targets = self.select(weak, rho)
        mask = mask & (state.step >= self.warm_up)
        losses = soft_cross_entropy(views.outputs("strong"), targets)
        metrics = {"mask_rate": mask.astype(losses.dtype).mean(), "threshold": rho}
        return AuxUpdate(
            per_example_mean(jnp.where(mask, losses, 0.0)),
            self.next_state(views, state),
            metrics,
        )

    def threshold(self, state: DashState, classes: int) -> jax.Array:
        """The threshold rho `[]`."""
        initial = jnp.asarray(self.initial_loss or 0.0, state.total.dtype)
        if self.initial_loss is None:
            mean = state.total / jnp.maximum(state.count, 1.0)
            initial = jnp.where(state.count > 0, mean, math.log(classes))
        num_decays = jnp.maximum(state.step - self.warm_up, 0) // self.every
        return jnp.maximum(
            self.factor * self.gamma ** -num_decays.astype(initial.dtype) * initial,
            self.min_threshold,
        )

    def select(self, weak: jax.Array, rho: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mask `[...]` and targets `[..., C]` from the weak view."""
        soft = jax.nn.softmax(weak / jnp.asarray(self.temperature, weak.dtype))
        hard = jax.nn.one_hot(weak.argmax(-1), weak.shape[-1], dtype=weak.dtype)
        targets = jnp.where(rho > self.min_threshold, soft, hard)
        return soft_cross_entropy(weak, targets).astype(rho.dtype) <= rho, targets

    def next_state(self, views: AuxInputs, state: DashState) -> DashState:
        """The state after this step."""
        if self.initial_loss is not None:
            return state._replace(step=state.step + 1)
        logits, labels = jax.lax.stop_gradient(views.outputs("labelled")), views.labels
        mask = (labels >= 0) & views.mask.reshape(-1, *(1,) * (labels.ndim - 1))
        mask &= (state.step >= self.warm_up - self.window) & (state.step < self.warm_up)
        losses = cross_entropy(logits, jnp.where(mask, labels, 0)).astype(state.total.dtype)
        return DashState(
            state.step + 1,
            state.total + jnp.where(mask, losses, 0.0).sum(),
            state.count + mask.sum().astype(state.count.dtype),
        )
