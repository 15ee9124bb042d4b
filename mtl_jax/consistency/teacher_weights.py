"""TeacherWeights: weights of a teacher's labels, which were selected for class balance."""

import dataclasses

from mtl_jax.consistency.match import NO_MASK
from mtl_jax.consistency.parts import Mask, MaskUpdate
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.tree import Tree
from mtl_jax.core.views import TeacherView, view_key

TEACHER = TeacherView()


@dataclasses.dataclass(frozen=True)
class TeacherWeights(Mask):
    """The product of another mask and the weights of a `TeacherView`.

    Attributes:
      view: whose weights are used.
      mask: the other mask.

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.views import TeacherView
      >>> view = TeacherView(per_class=1000)
      >>> consistency.Match(mask=consistency.TeacherWeights(view), target_view=view).views
      (TeacherView(params='selected', per_class=1000), 'strong')
    """

    view: TeacherView = TEACHER
    mask: Mask = NO_MASK

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state of the mask."""
        return self.mask.init(sizes)

    def update(self, prediction: Prediction, views: AuxInputs, state: Tree) -> MaskUpdate:
        """Maps a prediction to weights `[U, ...]`, the mask's next state and metrics."""
        weights, state, metrics = self.mask.update(prediction, views, state)
        teacher_weights = views.view_params[view_key(self.view)].astype(prediction.raw.dtype)
        teacher_weights = teacher_weights.reshape(-1, *(1,) * (weights.ndim - 1))
        return MaskUpdate(weights.astype(prediction.raw.dtype) * teacher_weights, state, metrics)
