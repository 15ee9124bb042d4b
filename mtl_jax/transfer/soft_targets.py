"""The method that says of unlabelled images what a teacher's run said, softened."""

import dataclasses
import math
from typing import Literal

import jax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.core.views import PARAMETERS, Parameters, Stored, View
from mtl_jax.losses.target_type import MULTICLASS
from mtl_jax.transfer.distill import distillation


@dataclasses.dataclass(frozen=True)
class Distillation:
    """Knowledge distillation on the unlabelled images, `T^2 KL(softmax(t/T) || softmax(z/T))`.

    Per example, see `distillation`; t are the logits of the run's `teachers`, told once for the
    images as they are, before the training began. Without labels there is only this; beside
    them, RepDistiller weighs it 0.9 to 0.1, which is a weight of 9. Gradients flow into the
    view that learns.

    Attributes:
      weight: of the mean over the images.
      temperature: T.
      view: which view of the images learns.
      by: which parameters of the teacher say it, see `mtl_jax.core.views.Stored`.

    Raises:
      BadInput: for a setting out of range.

    Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015,
      Section 2 (https://arxiv.org/abs/1503.02531); the default T is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float
    temperature: float = 4.0
    view: Literal["weak", "strong"] = "weak"
    by: Parameters = "selected"

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), temperature=(1e-6, math.inf))
        require_choice(self, view=("weak", "strong"), by=PARAMETERS)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (Stored(self.by), self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[U]`, no state, and no metrics."""
        said = views.of(Stored(self.by)).astype(views.of(self.view).dtype)
        return distillation(views.of(self.view), said, self.temperature), state, {}
