"""Temporal ensembling: the targets of each example are its mean predictions of earlier epochs."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.ramp_up import gaussian_ramp_up
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number
from mtl_jax.losses import probability_squared_error


class TemporalEnsemblingState(NamedTuple):
    """Running predictions for each example of the pool, zeros initially."""

    total: jax.Array  # [N, C], Z: running mean of probabilities, starting from 0
    count: jax.Array  # [N], t: how often the example was seen


@dataclasses.dataclass(frozen=True)
class TemporalEnsembling(AuxiliaryLoss):
    """Temporal ensembling of predictions.

    `1/C |p - Z_i / (1 - a^t_i)|^2` per example i on its weak view, where Z_i is the running mean
    of the probabilities p of the t_i previous times that the example was seen, and then
    `Z_i <- a Z_i + (1 - a) p`. The times are counted per example, so the bias correction for the
    start at 0 is exact for any order of examples; an example seen for the first time has no loss.
    An example that a batch contains twice counts once, by its later position. No gradient with
    respect to Z. Logits are `[U, C]`; the state is a table `[N, C]` for each seed.

    The paper divides the labelled loss and this one by the number of all examples, labelled or
    not, so its relative weight `w_max M / N` is `w_max` here.

    Attributes:
      momentum: a.
      weight: of the mean over all U examples (30 in the paper for this method).
      ramp: fraction of training over which the loss grows along a Gaussian (80 of 300 epochs).

    Raises:
      BadInput: for a momentum outside [0, 1), a negative weight, or a ramp outside [0, 1].

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Algorithm 2
      (https://arxiv.org/abs/1610.02242).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.TemporalEnsembling(momentum=0.6)
      >>> method.init(DatasetSizes(10, 1000, 40)).total.shape
      (1000, 10)
      >>> [round(x, 2) for x in method.bias_correction(jnp.array([1, 2, 3]), float).tolist()]
      [0.4, 0.64, 0.78]
    """

    momentum: float = 0.6
    weight: float = 30.0
    ramp: float = 0.27

    target_types = MULTICLASS
    views = ("weak",)

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0 - 1e-6), weight=(0.0, math.inf), ramp=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> TemporalEnsemblingState:
        """Returns the initial state: no predictions."""
        total = jnp.zeros((sizes.num_unlabelled, sizes.num_classes), float)
        return TemporalEnsemblingState(total, jnp.zeros(sizes.num_unlabelled, jnp.int32))

    def update(self, views: AuxInputs, state: TemporalEnsemblingState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        logits = views.outputs("weak")
        total, count = state.total[views.unlabelled_index], state.count[views.unlabelled_index]
        has_target = count > 0
        targets = (total / self.bias_correction(count, total.dtype)[:, None]).astype(logits.dtype)
        loss = jnp.where(has_target, probability_squared_error(logits, targets), 0.0)
        probs = jax.nn.softmax(jax.lax.stop_gradient(logits)).astype(total.dtype)
        averages = self.momentum * total + (1.0 - self.momentum) * probs
        rows = rows_of(views.unlabelled_index, jnp.ones_like(has_target), len(state.count))
        state = TemporalEnsemblingState(
            state.total.at[rows].set(averages, mode="drop"),
            state.count.at[rows].set(count + 1, mode="drop"),
        )
        metrics = {"mask_rate": has_target.astype(loss.dtype).mean()}
        return AuxUpdate(gaussian_ramp_up(loss, views, self.ramp), state, metrics)

    def bias_correction(self, count: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
        """Bias correction `1 - a^t` `[n]`; 1 for t = 0."""
        steps = jnp.maximum(count, 1).astype(dtype)
        return jnp.where(count > 0, 1.0 - self.momentum**steps, 1.0)
