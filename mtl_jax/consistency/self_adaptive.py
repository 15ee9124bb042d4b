"""Self-adaptive thresholds, and the fairness of predictions over classes."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask, MaskUpdate, Term
from mtl_jax.consistency.prediction import Prediction, mean_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.tree import ema_update
from mtl_jax.core.validation import require, require_number

# Inside the logarithm of the fairness term, as in the authors' code; affects classes
# to which no masked example was assigned.
TINY = 1e-12


class SelfAdaptiveState(NamedTuple):
    """Running means over the weak views, all 1/C initially."""

    threshold: jax.Array  # [], tau: of the confidence
    probabilities: jax.Array  # [C], p~: of the probabilities


@dataclasses.dataclass(frozen=True)
class SelfAdaptiveThreshold(Mask):
    """A threshold that adapts to the learning status of the model, per class.

    First the state is updated: `tau` and `p~` are averages with `momentum` of the batch means of
    `max q` and `q`. Then `1[max q >= tau p~_c / max p~]`, with c the predicted class.

    Attributes:
      momentum: decay of the running means.
      clip: `(low, high)` for tau, such as (0.9, 0.95) on SVHN; None disables clipping.

    Raises:
      BadInput: for a momentum outside [0, 1], or a clip that is not a pair of increasing numbers
        in [0, 1].

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4.1
      (https://arxiv.org/abs/2205.07246).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> log_probs = jnp.log(jnp.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]))
      >>> prediction = Prediction(log_probs, log_probs)
      >>> adaptive = consistency.SelfAdaptiveThreshold(momentum=0.0)
      >>> state = adaptive.init(DatasetSizes(2, 3, 1))
      >>> mask, state, _ = adaptive.update(prediction, views=None, state=state)
      >>> mask.tolist(), round(float(state.threshold), 2)
      ([True, False, True], 0.73)
    """

    momentum: float = 0.999
    clip: tuple[float, float] | None = None

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0))
        if self.clip is not None:
            pair = isinstance(self.clip, tuple) and len(self.clip) == 2
            increasing = pair and 0.0 <= self.clip[0] <= self.clip[1] <= 1.0
            require(increasing, self, "clip", "must be (low, high) in [0, 1]", self.clip)

    def init(self, sizes: DatasetSizes) -> SelfAdaptiveState:
        """Returns the initial state: 1/C everywhere."""
        uniform = 1.0 / sizes.num_classes
        return SelfAdaptiveState(
            jnp.full((), uniform, float), jnp.full(sizes.num_classes, uniform, float)
        )

    def update(
        self, prediction: Prediction, views: AuxInputs, state: SelfAdaptiveState
    ) -> MaskUpdate:
        """Maps a prediction to the mask `[...]`, the next state and the threshold tau."""
        dtype = state.threshold.dtype
        confidence = prediction.confidence("aligned")
        batch = SelfAdaptiveState(
            confidence.astype(dtype).mean(), mean_of(jnp.exp(prediction.aligned), dtype)
        )
        state = ema_update(state, batch, self.momentum)
        if self.clip is not None:
            state = state._replace(threshold=state.threshold.clip(*self.clip))
        thresholds = state.threshold * state.probabilities / state.probabilities.max()
        mask = confidence.astype(dtype) >= thresholds[prediction.aligned.argmax(-1)]
        return MaskUpdate(mask, state, {"threshold": state.threshold})


class FairnessState(NamedTuple):
    """Running means over the weak views, all 1/C initially."""

    probabilities: jax.Array  # [C], p~: of the probabilities
    histogram: jax.Array  # [C], h~: of the predicted classes


@dataclasses.dataclass(frozen=True)
class SelfAdaptiveFairness(Term):
    """A loss term that makes predictions more diverse.

    `L_f = sum_c N(p~/h~)_c log N(pbar/hbar)_c`, where N normalizes to sum 1; p~ and h~ are
    running means of the predicted probabilities and classes, and pbar and hbar are the mean
    probabilities and class counts of the student view within the mask (a class with count 0
    gives 0; an empty mask gives L_f = 0). It is *minus* a cross-entropy, so it is NEGATIVE and
    the loss may be too: minimizing it makes the predictions more diverse.

    Gradient with respect to pbar only.

    Attributes:
      weight: of the term (0.05 in the paper, 0.001 to 0.01 in the authors' code).
      momentum: decay of the running means.

    Raises:
      BadInput: for a momentum outside [0, 1], or a negative weight.

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4.2
      (https://arxiv.org/abs/2205.07246).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> logits = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> prediction, mask = Prediction(logits, logits), jnp.ones(2, bool)
      >>> term = consistency.SelfAdaptiveFairness(momentum=1.0)
      >>> value, _ = term.update(prediction, logits, mask, term.init(DatasetSizes(2, 2, 1)))
      >>> round(float(value), 2)
      -0.69
    """

    weight: float = 0.01
    momentum: float = 0.999

    name = "fairness"

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), momentum=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> FairnessState:
        """Returns the initial state: 1/C everywhere."""
        uniform = 1.0 / sizes.num_classes
        return FairnessState(*(jnp.full(sizes.num_classes, uniform, float) for _ in range(2)))

    def update(
        self, prediction: Prediction, logits: jax.Array, mask: jax.Array, state: FairnessState
    ) -> tuple[jax.Array, FairnessState]:
        """Maps a prediction, student logits `[..., C]` and mask `[...]` to L_f and a state."""
        dtype, classes = state.histogram.dtype, prediction.aligned.shape[-1]
        one_hot = jax.nn.one_hot(prediction.aligned.argmax(-1), classes, dtype=dtype)
        batch = FairnessState(mean_of(jnp.exp(prediction.aligned), dtype), mean_of(one_hot, dtype))
        state = ema_update(state, batch, self.momentum)
        return fairness(logits, mask, state), state


def fairness(logits: jax.Array, mask: jax.Array, state: FairnessState) -> jax.Array:
    """The fairness term `[]` of logits `[..., C]` within the mask `[...]`; negative."""
    dtype = logits.dtype
    mask = mask.astype(bool)
    weights = mask.astype(dtype)[..., None]
    count = jnp.maximum(weights.sum(), 1.0)
    axes = tuple(range(logits.ndim - 1))
    mean = (jax.nn.softmax(logits) * weights).sum(axes) / count
    one_hot = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=dtype) * weights
    target = normalized_ratio(state.probabilities.astype(dtype), state.histogram.astype(dtype))
    term = (target * jnp.log(normalized_ratio(mean, one_hot.sum(axes) / count) + TINY)).sum()
    return jnp.where(mask.any(), term, 0.0)


def normalized_ratio(value: jax.Array, count: jax.Array) -> jax.Array:
    """`value / count` `[C]`, 0 where the count is 0, normalized to sum 1 (unless the sum is 0)."""
    ratio = jnp.where(count > 0, value / jnp.where(count > 0, count, 1.0), 0.0)
    total = ratio.sum()
    return ratio / jnp.where(total > 0, total, 1.0)
