"""Learning without forgetting: preserves the predictions of the source's head."""

import dataclasses
import math

import jax

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.core.views import View
from mtl_jax.transfer.distillation import kl_divergence
from mtl_jax.transfer.source_head import SourceHead
from mtl_jax.transfer.source_views import (
    ImageView,
    require_weight_and_view,
    student_and_source,
    views_of,
)


@dataclasses.dataclass(frozen=True)
class LwF(SourceHead):
    r"""Learning without forgetting: matches the old head's predictions to the source's.

    `KL(softmax(z0 / T) || softmax(z / T))`, per example, without a factor `T^2`, see `lwf`. The
    source is evaluated at every step on the current augmented images (the paper and TLLib record
    its outputs once). Labels are not used, so missing labels do not matter. Requires a run with a
    source model (`init_from`), whose head for the task SRC becomes the head `old` of this task DST
    by

        param_map=((r"tasks/heads/SRC/(kernel|bias)", r"tasks/heads/DST/old/Dense_0/\1"),)

    in the run's `Initialization`.
    (SRC is `source` if the run starts from a file.) A run without such a rule is rejected.
    Gradients with respect to the old head and the trunk, none with respect to the source.

    Attributes:
      classes: number of classes of the source's task, at least 2.
      weight: weight of the mean over the images; the default is TLLib's, 1 in the paper.
      temperature: the temperature T; the default is TLLib's, 2 in the paper.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range.

    Reference: Li and Hoiem, Learning without Forgetting, ECCV 2016, the loss of the old tasks
      (https://arxiv.org/abs/1606.09282); the defaults are TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> from mtl_jax import transfer
      >>> transfer.LwF(classes=1000).aux_heads(num_classes=10)  # the head of the source
      {'old': AuxHead(outputs=1000, hidden=0)}
    """

    weight: float = 4.0
    temperature: float = 3.0
    view: ImageView = "labelled"

    target_types = ALL_TYPES

    def __post_init__(self):
        require_weight_and_view(self)
        require_int(self, classes=2)
        require_number(self, temperature=(1e-6, math.inf))

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to a loss for each example `[n]`, no state, and no metrics."""
        return AuxUpdate(
            lwf(*student_and_source(views.heads["old"], self.view), self.temperature), state, {}
        )


def lwf(logits: jax.Array, recorded: jax.Array, temperature: float = 2.0) -> jax.Array:
    """Learning without forgetting, `KL(softmax(t / T) || softmax(z / T))`: without `T^2`.

    Per example, natural logarithm. No gradient with respect to `recorded`. The logits of the old
    head on the new images are recorded once before training (with the augmentations of that time).

    Args:
      logits: logits z of the old task's current head, finite floats `[..., C]`.
      recorded: logits t of that head before training, the same shape.
      temperature: the temperature T, 2 in the paper.

    Returns:
      The loss `[...]`, exactly 0 for equal logits.

    Raises:
      ValueError: if the shapes differ (when traced).
      BadInput: if T is not positive.

    Reference: Li and Hoiem, Learning without Forgetting, ECCV 2016, the loss of the old tasks, with
      a divergence instead of its cross-entropy, which has equal gradients
      (https://arxiv.org/abs/1606.09282).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> logits, recorded = jnp.zeros((1, 2)), jnp.array([[100.0, 0.0]])
      >>> round(float(transfer.lwf(logits, recorded)[0]), 3)
      0.693
    """
    return kl_divergence("lwf", logits, recorded, temperature)
