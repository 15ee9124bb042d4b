"""Noisy Student: self-training on the predictions of finished runs."""

from mtl_jax.consistency.mask import ConfidenceThreshold
from mtl_jax.consistency.match import Match
from mtl_jax.consistency.target import HardLabels, SharpenedLabels
from mtl_jax.consistency.teacher_weights import TeacherWeights
from mtl_jax.core.views import Parameters, TeacherView


def NoisyStudent(
    threshold: float = 0.0,
    soft_labels: bool = True,
    per_class: int | None = None,
    weight: float = 1.0,
    params: Parameters = "selected",
) -> Match:
    """Noisy Student: the strong view is trained on the predictions of the run's teachers.

    The teachers predict before training begins. A round of self-training is a run whose
    `teachers` is the previous round; several teachers of one task each make a student of
    several tasks (MuST, Ghiasi et al., ICCV 2021, https://arxiv.org/abs/2108.11353).

    Args:
      threshold: confidence of the teacher from which an image counts.
      soft_labels: whether the target is the teacher's probabilities or its class.
      per_class: how many images of each class count, see `TeacherView`.
      weight: of the loss.
      params: which parameters of the teacher are used, see `TeacherView`.

    Reference: Xie et al., Self-training with Noisy Student, CVPR 2020, Section 2
      (https://arxiv.org/abs/1911.04252).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.NoisyStudent(per_class=1000).views
      (TeacherView(params='selected', per_class=1000), 'strong')
    """
    view = TeacherView(params, per_class)
    mask = TeacherWeights(view, ConfidenceThreshold(threshold))
    return Match(
        target=SharpenedLabels() if soft_labels else HardLabels(),
        mask=mask,
        target_view=view,
        weight=weight,
    )
