"""Temporal ensembling: each example follows the mean of what was said of it in earlier epochs."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.ramp_up import gaussian_ramped
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.losses import probability_squared_error
from mtl_jax.losses.target_type import MULTICLASS


class Ensemble(NamedTuple):
    """What was said of each example of the pool; zeros before anything was."""

    total: jax.Array  # [N, C], Z: the running mean of probabilities, which begins with 0
    count: jax.Array  # [N], t: how often the example was seen


@dataclasses.dataclass(frozen=True)
class TemporalEnsembling:
    """Temporal ensembling of predictions.

    `1/C |p - Z_i / (1 - a^t_i)|^2` per example i on its weak view, where Z_i is the running mean
    of the probabilities p of the t_i earlier times that the example was seen, and then
    `Z_i <- a Z_i + (1 - a) p`. The times are counted for each example, so the correction for the
    start at 0 is exact whatever the order of examples; one that is seen for the first time has no
    loss. An example that a batch has twice counts once, by its later place. No gradient flows
    into Z. Logits are `[U, C]`; the state is a table `[N, C]` for each seed.

    The paper divides the labelled loss and this one by the number of all examples, labelled or
    not, so its weight `w_max M / N` next to that is `w_max` here.

    Attributes:
      momentum: a.
      weight: of the mean over all U examples (30 in the paper for this method).
      ramp: share of the training over which the loss grows along a Gaussian (80 of 300 epochs).

    Raises:
      BadInput: for a momentum outside [0, 1), a negative weight, or a ramp outside [0, 1].

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Algorithm 2
      (https://arxiv.org/abs/1610.02242).
    """

    momentum: float = 0.6
    weight: float = 30.0
    ramp: float = 0.27

    target_types = MULTICLASS
    views = ("weak",)

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0 - 1e-6), weight=(0.0, math.inf), ramp=(0.0, 1.0))

    def init(self, sizes: Sizes) -> Ensemble:
        """State before the first step: nothing was said."""
        total = jnp.zeros((sizes.unlabelled, sizes.classes), float)
        return Ensemble(total, jnp.zeros(sizes.unlabelled, jnp.int32))

    def warm(self, state: Ensemble) -> Ensemble:
        """The state in which every example was seen once and nothing was known of it."""
        share = (1.0 - self.momentum) / state.total.shape[-1]
        return Ensemble(jnp.full_like(state.total, share), jnp.ones_like(state.count))

    def update(self, views: Views, state: Ensemble) -> tuple[jax.Array, Ensemble, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        logits = views.of("weak")
        total, count = state.total[views.index], state.count[views.index]
        seen = count > 0
        targets = (total / self.share(count, total.dtype)[:, None]).astype(logits.dtype)
        loss = jnp.where(seen, probability_squared_error(logits, targets), 0.0)
        said = jax.nn.softmax(jax.lax.stop_gradient(logits)).astype(total.dtype)
        moved = self.momentum * total + (1.0 - self.momentum) * said
        rows = rows_of(views.index, jnp.ones_like(seen), len(state.count))
        state = Ensemble(
            state.total.at[rows].set(moved, mode="drop"),
            state.count.at[rows].set(count + 1, mode="drop"),
        )
        metrics = {"mask_rate": seen.astype(loss.dtype).mean()}
        return gaussian_ramped(loss, views, self.ramp), state, metrics

    def share(self, count: jax.Array, dtype) -> jax.Array:
        """What the weights of so many times add up to, `1 - a^t` `[n]`; 1 for none."""
        times = jnp.maximum(count, 1).astype(dtype)
        return jnp.where(count > 0, 1.0 - self.momentum**times, 1.0)
