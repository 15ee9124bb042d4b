"""TeacherWeights: weights of a teacher's labels, which were selected for class balance."""

import dataclasses
from typing import Any

from mtl_jax.consistency.match import EVERYTHING
from mtl_jax.consistency.parts import Mask
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.views import TeacherView, view_key

STORED = TeacherView()


@dataclasses.dataclass(frozen=True)
class TeacherWeights(Mask):
    """The product of another mask and the weights of a `TeacherView`.

    Attributes:
      view: whose weights are used.
      mask: the other mask.
    """

    view: TeacherView = STORED
    mask: Mask = EVERYTHING

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state of the mask."""
        return self.mask.init(sizes)

    def update(self, guess: Prediction, views: AuxInputs, state: Any) -> tuple:
        """Maps a prediction to weights `[U, ...]`, the mask's next state and metrics."""
        weights, state, metrics = self.mask.update(guess, views, state)
        chosen = views.view_params[view_key(self.view)].astype(guess.raw.dtype)
        chosen = chosen.reshape(-1, *(1,) * (weights.ndim - 1))
        return weights.astype(guess.raw.dtype) * chosen, state, metrics
