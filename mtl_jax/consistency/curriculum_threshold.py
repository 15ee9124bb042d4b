"""Curriculum pseudo-labels: a class that is learnt slowly gets a lower threshold."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask, MaskUpdate
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.validation import require_number


class CurriculumState(NamedTuple):
    """The last confident class of each example of the pool, and the counts of the classes."""

    label: jax.Array  # [N], -1 before the first confident prediction
    count: jax.Array  # [C]


@dataclasses.dataclass(frozen=True)
class CurriculumThreshold(Mask):
    """Flexible thresholds, `1[max q >= T_c]` with `T_c = threshold * b_c / (2 - b_c)`.

    c is the predicted class; `b_c = n_c / max(max_j n_j, n_none)` is the class' learning status:
    n_c counts the examples of the pool whose last confident prediction (above the *fixed*
    threshold) was c, and n_none those that never were confident. The mask uses the status before
    the step. A selection is never undone, only changed. The counts are updated incrementally; an
    example that a batch contains twice counts by its later position.

    Attributes:
      threshold: the fixed threshold, and the largest of the flexible ones.
      warm_up: whether n_none is included in the maximum.

    Raises:
      BadInput: for a threshold outside [0, 1].

    Reference: Zhang et al., FlexMatch, NeurIPS 2021, Eqs. 5 to 8, 11 and 12
      (https://arxiv.org/abs/2110.08263).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.curriculum_threshold import CurriculumState
      >>> state = CurriculumState(label=jnp.array([0, 0, 1, -1]), count=jnp.array([2, 1]))
      >>> consistency.CurriculumThreshold().status(state).tolist()
      [1.0, 0.5]
    """

    threshold: float = 0.95
    warm_up: bool = True

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0))

    def init(self, sizes: DatasetSizes) -> CurriculumState:
        """Returns the initial state: nothing is selected."""
        return CurriculumState(
            jnp.full(sizes.num_unlabelled, -1, jnp.int32), jnp.zeros(sizes.num_classes, jnp.int32)
        )

    def update(
        self, prediction: Prediction, views: AuxInputs, state: CurriculumState
    ) -> MaskUpdate:
        """Maps a prediction `[U, C]` to the mask `[U]`, the next state and the mean threshold."""
        confidence, label = prediction.confidence("aligned"), prediction.aligned.argmax(-1)
        status = self.status(state).astype(confidence.dtype)
        thresholds = self.threshold * status / (2.0 - status)
        confident = confidence >= self.threshold
        state = update_counts(state, views.unlabelled_index, label.astype(jnp.int32), confident)
        return MaskUpdate(confidence >= thresholds[label], state, {"threshold": thresholds.mean()})

    def status(self, state: CurriculumState) -> jax.Array:
        """Learning status of each class, b `[C]`, between 0 and 1."""
        max_count = state.count.max()
        if self.warm_up:
            num_unselected = state.label.size - state.count.sum(dtype=jnp.int32)
            max_count = jnp.maximum(max_count, num_unselected)
        return state.count / jnp.maximum(max_count, 1)


def update_counts(
    state: CurriculumState, index: jax.Array, label: jax.Array, confident: jax.Array
) -> CurriculumState:
    """The state after predictions for examples `[U]`, of which some are confident."""
    rows = rows_of(index, confident, state.label.size)
    written = rows < state.label.size
    previous = state.label[index]
    classes = jnp.arange(state.count.size, dtype=jnp.int32)[None]
    gained = ((label[:, None] == classes) & written[:, None]).sum(0, dtype=jnp.int32)
    lost = ((previous[:, None] == classes) & written[:, None]).sum(0, dtype=jnp.int32)
    return CurriculumState(
        state.label.at[rows].set(label, mode="drop"), state.count + gained - lost
    )
