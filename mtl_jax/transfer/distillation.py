"""Knowledge distillation: matches the softened predictions of a teacher."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import promote_float32
from mtl_jax.core.validation import require, require_choice, require_number
from mtl_jax.core.views import PARAMETERS, Parameters, TeacherView, View


@dataclasses.dataclass(frozen=True)
class Distillation(AuxiliaryLoss):
    """Knowledge distillation on the unlabelled images, `T^2 KL(softmax(t/T) || softmax(z/T))`.

    Per example, see `distillation`; t are the logits of `Labels.teachers`, precomputed before
    training on the unaugmented images. Without labels, this is the only loss; with labels,
    RepDistiller weighs the two 0.9 to 0.1, which is a weight of 9 here. Gradients with respect to
    the student's view.

    Attributes:
      weight: weight of the mean over the images.
      temperature: the temperature T.
      view: view of the images used by the student.
      params: parameters of the teacher to use, see `mtl_jax.core.views.TeacherView`.

    Raises:
      BadInput: if a setting is out of range.

    Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015,
      Section 2 (https://arxiv.org/abs/1503.02531); the default T is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).

    Example:
      >>> from mtl_jax import transfer
      >>> transfer.Distillation(9.0, view="strong").views  # The run has `teachers`.
      (TeacherView(params='selected', per_class=None), 'strong')
    """

    weight: float
    temperature: float = 4.0
    view: Literal["weak", "strong"] = "weak"
    params: Parameters = "selected"

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), temperature=(1e-6, math.inf))
        require_choice(self, view=("weak", "strong"), params=PARAMETERS)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return (TeacherView(self.params), self.view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to a loss for each example `[U]`, no state, and no metrics."""
        logits = views.outputs(self.view)
        teacher = views.outputs(TeacherView(self.params)).astype(logits.dtype)
        return AuxUpdate(distillation(logits, teacher, self.temperature), state, {})


def distillation(logits: jax.Array, teacher: jax.Array, temperature: float = 4.0) -> jax.Array:
    """Knowledge distillation, `T^2 KL(softmax(t / T) || softmax(z / T))`.

    Per example, natural logarithm. The factor keeps the norm of the gradient about the same for any
    T. No gradient with respect to `teacher`. RepDistiller uses T = 4 and weights of 0.1 for the
    loss of the labels and 0.9 for this one.

    Args:
      logits: logits z, finite floats `[..., C]`.
      teacher: logits t of the teacher, the same shape.
      temperature: the temperature T.

    Returns:
      The loss `[...]`, exactly 0 for equal logits.

    Raises:
      ValueError: if the shapes differ (when traced).
      BadInput: if T is not positive.

    Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, Section
      2, with a divergence instead of its cross-entropy, which has equal gradients
      (https://arxiv.org/abs/1503.02531).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> logits, teacher = jnp.zeros((1, 2)), jnp.array([[100.0, 0.0]])
      >>> [round(float(transfer.distillation(logits, teacher, t)[0]), 3) for t in (1.0, 4.0)]
      [0.693, 11.09]
    """
    return temperature**2 * kl_divergence("distillation", logits, teacher, temperature)


def kl_divergence(
    name: str, logits: jax.Array, teacher: jax.Array, temperature: float
) -> jax.Array:
    """KL divergence `[...]` from the teacher's softened predictions."""
    require(temperature > 0, name, "temperature", "must be above 0", temperature)
    if logits.shape != teacher.shape or logits.ndim == 0:
        raise ValueError(
            f"{name} needs logits [..., C] of both nets, not {logits.shape} and {teacher.shape}"
        )
    log_probs = jax.nn.log_softmax(promote_float32(logits) / temperature)
    targets = jax.nn.log_softmax(teacher.astype(log_probs.dtype) / temperature)
    targets = jax.lax.stop_gradient(targets)
    return (jnp.exp(targets) * (targets - log_probs)).sum(-1).astype(logits.dtype)
