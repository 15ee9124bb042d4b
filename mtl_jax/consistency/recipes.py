"""Recipes of published methods, each composed of the parts of a `Match` or a wrapper."""

from typing import Literal

from mtl_jax.consistency.curriculum_threshold import CurriculumThreshold
from mtl_jax.consistency.distribution_alignment import (
    DistributionAlignment,
    NoAlignment,
    QueueAlignment,
)
from mtl_jax.consistency.divergence import KLDivergence, SquaredError
from mtl_jax.consistency.mask import ConfidenceThreshold
from mtl_jax.consistency.match import NO_ALIGNMENT, Match
from mtl_jax.consistency.self_adaptive import SelfAdaptiveFairness, SelfAdaptiveThreshold
from mtl_jax.consistency.signal_annealing import SignalAnnealing
from mtl_jax.consistency.target import HardLabels, SharpenedLabels
from mtl_jax.consistency.truncated_gaussian import TruncatedGaussian
from mtl_jax.core.views import SeparatePass, View


def PseudoLabel(
    threshold: float = 0.95, weight: float = 1.0, ramp: float = 0.4, freeze_statistics: bool = False
) -> Match:
    """Pseudo-Label: the weak view is trained on its own confident pseudo-labels.

    Args:
      threshold: confidence from which a pseudo-label counts.
      weight: of the loss.
      ramp: fraction of training over which the loss grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics unchanged, by a
        separate pass.

    Reference: Lee, Pseudo-Label, ICML 2013 workshop, Eqs. 15 and 16; the threshold is that of
      later code.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.PseudoLabel(threshold=0.9).views
      ('weak', 'weak')
    """
    view: View = SeparatePass(("weak",)) if freeze_statistics else "weak"
    return Match(
        mask=ConfidenceThreshold(threshold),
        target_view=view,
        student_view=view,
        weight=weight,
        ramp=ramp,
    )


def PiModel(weight: float = 10.0, ramp: float = 0.4, freeze_statistics: bool = False) -> Match:
    """Pi-model: squared error between the probabilities of two weak views.

    Args:
      weight: of the loss.
      ramp: fraction of training over which the loss grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics unchanged, by
        separate passes.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242); no gradient with respect to the first view.

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.PiModel()
      >>> method.views, method.divergence
      (('weak', 'weak2'), SquaredError())
    """
    return Match(
        target=SharpenedLabels(),
        divergence=SquaredError(),
        target_view=SeparatePass(("weak",), "frozen_student") if freeze_statistics else "weak",
        student_view=SeparatePass(("weak2",)) if freeze_statistics else "weak2",
        weight=weight,
        ramp=ramp,
    )


def MeanTeacher(weight: float = 50.0, ramp: float = 0.4, student_view: View = "weak2") -> Match:
    """Mean Teacher: a view is matched to the averaged model's probabilities for another view.

    The averaged model is the run's (`ema_decay`). The teacher normalizes by the statistics of
    its own batch.

    Args:
      weight: of the loss.
      ramp: fraction of training over which the loss grows.
      student_view: view that is trained.

    Reference: Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017,
      Section 2 (https://arxiv.org/abs/1703.01780).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.MeanTeacher(student_view="strong").views
      (SeparatePass(views=('weak',), model='teacher'), 'strong')
    """
    return Match(
        target=SharpenedLabels(),
        divergence=SquaredError(),
        target_view=SeparatePass(("weak",), "teacher"),
        student_view=student_view,
        weight=weight,
        ramp=ramp,
    )


def UDA(
    threshold: float = 0.8,
    temperature: float = 0.4,
    weight: float = 1.0,
    schedule: Literal["linear", "log", "exp"] | None = None,
) -> Match | SignalAnnealing:
    """UDA: the strong view is trained on sharpened, confident predictions.

    The mask uses the prediction before sharpening.

    Args:
      threshold: confidence from which a pseudo-label counts.
      temperature: of the sharpening.
      weight: of the loss.
      schedule: of training signal annealing; None disables it.

    Reference: Xie et al., Unsupervised Data Augmentation, NeurIPS 2020, Section 2 and
      Appendix on training techniques (https://arxiv.org/abs/1904.12848).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.UDA(temperature=0.5).target
      SharpenedLabels(temperature=0.5, prediction='aligned')
      >>> consistency.UDA(schedule="exp").has_labelled_loss
      True
    """
    match = Match(
        target=SharpenedLabels(temperature),
        mask=ConfidenceThreshold(threshold),
        divergence=KLDivergence(),
        weight=weight,
    )
    return match if schedule is None else SignalAnnealing(match, schedule)


def FixMatch(
    threshold: float = 0.95,
    weight: float = 1.0,
    align: NoAlignment | DistributionAlignment | QueueAlignment = NO_ALIGNMENT,
) -> Match:
    """FixMatch: a confident prediction on the weak view is the label of the strong view.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`; with an alignment, both the
    pseudo-label and its confidence are the aligned ones.

    Args:
      threshold: confidence from which a pseudo-label counts.
      weight: of the loss.
      align: distribution alignment of the predictions, if any.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.FixMatch(0.9, align=consistency.DistributionAlignment())
      >>> method.mask
      ConfidenceThreshold(threshold=0.9, prediction='aligned')
    """
    return Match(align=align, mask=ConfidenceThreshold(threshold), weight=weight)


def FlexMatch(threshold: float = 0.95, weight: float = 1.0, warm_up: bool = True) -> Match:
    """FlexMatch: FixMatch with curriculum pseudo-labels, see `CurriculumThreshold`.

    Args:
      threshold: of the classes that are learnt best.
      weight: of the loss.
      warm_up: whether examples that were never confident hold the thresholds down.

    Reference: Zhang et al., FlexMatch, NeurIPS 2021, Section 3 (https://arxiv.org/abs/2110.08263).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.FlexMatch(threshold=0.9).mask
      CurriculumThreshold(threshold=0.9, warm_up=True)
    """
    return Match(mask=CurriculumThreshold(threshold, warm_up), weight=weight)


def FreeMatch(
    momentum: float = 0.999,
    fairness: float = 0.01,
    weight: float = 1.0,
    clip: tuple[float, float] | None = None,
) -> Match:
    """FreeMatch: self-adaptive thresholds and a fairness term.

    See `SelfAdaptiveThreshold` and `SelfAdaptiveFairness`. The fairness term is negative, and so
    the loss may be.

    Args:
      momentum: decay of the running means.
      fairness: weight of the term; 0 disables it.
      weight: of the loss.
      clip: range of the global threshold.

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4 (https://arxiv.org/abs/2205.07246).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.FreeMatch(clip=(0.9, 0.95))
      >>> method.mask, method.terms[0].weight
      (SelfAdaptiveThreshold(momentum=0.999, clip=(0.9, 0.95)), 0.01)
    """
    terms = (SelfAdaptiveFairness(fairness, momentum),) if fairness != 0 else ()
    return Match(mask=SelfAdaptiveThreshold(momentum, clip), terms=terms, weight=weight)


def SoftMatch(
    momentum: float = 0.999,
    sigmas: float = 2.0,
    weight: float = 1.0,
    moments: Literal["raw", "aligned"] = "raw",
) -> Match:
    """SoftMatch: pseudo-labels weighted by a truncated Gaussian of the aligned confidence.

    The label is the unaligned prediction; the uniform alignment affects the weight alone.

    Args:
      momentum: decay of the running moments and of the alignment.
      sigmas: how many standard deviations one of the Gaussian is.
      weight: of the loss.
      moments: prediction whose moments are tracked; the paper uses "raw", USB "aligned".

    Reference: Chen et al., SoftMatch, ICLR 2023, Section 3 (https://arxiv.org/abs/2301.10921).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.SoftMatch(moments="aligned").mask
      TruncatedGaussian(momentum=0.999, sigmas=2.0, prediction='aligned', moments='aligned')
    """
    return Match(
        align=DistributionAlignment("uniform", momentum),
        target=HardLabels("raw"),
        mask=TruncatedGaussian(momentum, sigmas, "aligned", moments),
        weight=weight,
    )
