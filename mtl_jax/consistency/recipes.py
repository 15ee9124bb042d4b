"""Papers as recipes: each puts together the parts of a `Match`, or one of its wrappers."""

from typing import Literal

from mtl_jax.consistency.curriculum_threshold import ClassStatus
from mtl_jax.consistency.distribution_alignment import Alignment, QueueAlignment, Unaligned
from mtl_jax.consistency.divergence import KLDivergence, SquaredError
from mtl_jax.consistency.mask import Threshold
from mtl_jax.consistency.match import UNALIGNED, Match
from mtl_jax.consistency.self_adaptive import Fairness, SelfAdaptive
from mtl_jax.consistency.signal_annealing import Annealed
from mtl_jax.consistency.target import Hard, Soft
from mtl_jax.consistency.teacher_weights import Chosen
from mtl_jax.consistency.truncated_gaussian import TruncatedGaussian
from mtl_jax.core.views import Apart, Parameters, Stored, View


def PseudoLabel(
    threshold: float = 0.95, weight: float = 1.0, ramp: float = 0.4, freeze_statistics: bool = False
) -> Match:
    """Pseudo-labels: the weak view learns its own confident guess, as the weight grows.

    Args:
      threshold: confidence at which a guess counts.
      weight: of the loss.
      ramp: share of the training over which it grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics alone, by a
        pass of their own.

    Reference: Lee, Pseudo-Label, ICML 2013 workshop, Eqs. 15 and 16; the threshold is that of
      later code.
    """
    view: View = Apart(("weak",)) if freeze_statistics else "weak"
    return Match(mask=Threshold(threshold), source=view, learner=view, weight=weight, ramp=ramp)


def PiModel(weight: float = 10.0, ramp: float = 0.4, freeze_statistics: bool = False) -> Match:
    """Pi-model: two weak views agree in squared error of their probabilities.

    Args:
      weight: of the loss.
      ramp: share of the training over which it grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics alone, by
        passes of their own.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242); no gradient flows into the first view.
    """
    return Match(
        target=Soft(),
        divergence=SquaredError(),
        source=Apart(("weak",), "frozen_student") if freeze_statistics else "weak",
        learner=Apart(("weak2",)) if freeze_statistics else "weak2",
        weight=weight,
        ramp=ramp,
    )


def MeanTeacher(weight: float = 50.0, ramp: float = 0.4, learner: View = "weak2") -> Match:
    """Mean Teacher: the averaged model's probabilities for one view are followed on another.

    The average is the run's `ema`. The teacher normalises by the statistics of its own batch.

    Args:
      weight: of the loss.
      ramp: share of the training over which it grows.
      learner: the view that learns.

    Reference: Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017,
      Section 2 (https://arxiv.org/abs/1703.01780).
    """
    return Match(
        target=Soft(),
        divergence=SquaredError(),
        source=Apart(("weak",), "teacher"),
        learner=learner,
        weight=weight,
        ramp=ramp,
    )


def UDA(
    threshold: float = 0.8,
    temperature: float = 0.4,
    weight: float = 1.0,
    schedule: Literal["linear", "log", "exp"] | None = None,
) -> Match | Annealed:
    """UDA: sharpened confident guesses are followed by the strong view.

    The mask looks at the guess before it is sharpened.

    Args:
      threshold: confidence at which a guess counts.
      temperature: of the sharpening.
      weight: of the loss.
      schedule: of training signal annealing; None leaves it out.

    Reference: Xie et al., Unsupervised Data Augmentation, NeurIPS 2020, Section 2 and
      Appendix on training techniques (https://arxiv.org/abs/1904.12848).
    """
    match = Match(
        target=Soft(temperature),
        mask=Threshold(threshold),
        divergence=KLDivergence(),
        weight=weight,
    )
    return match if schedule is None else Annealed(match, schedule)


def FixMatch(
    threshold: float = 0.95,
    weight: float = 1.0,
    align: Unaligned | Alignment | QueueAlignment = UNALIGNED,
) -> Match:
    """FixMatch: a confident guess on the weak view is the label of the strong view.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`; with an alignment, both guess
    and confidence are the aligned ones.

    Args:
      threshold: confidence at which a guess counts.
      weight: of the loss.
      align: how the guesses' distribution is aligned, if it is.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).
    """
    return Match(align=align, mask=Threshold(threshold), weight=weight)


def FlexMatch(threshold: float = 0.95, weight: float = 1.0, warm_up: bool = True) -> Match:
    """FlexMatch: FixMatch with curriculum pseudo-labels, see `ClassStatus`.

    Args:
      threshold: of the classes that are learnt best.
      weight: of the loss.
      warm_up: whether examples that were never sure hold thresholds down.

    Reference: Zhang et al., FlexMatch, NeurIPS 2021, Section 3 (https://arxiv.org/abs/2110.08263).
    """
    return Match(mask=ClassStatus(threshold, warm_up), weight=weight)


def FreeMatch(
    momentum: float = 0.999,
    fairness: float = 0.01,
    weight: float = 1.0,
    clip: tuple[float, float] | None = None,
) -> Match:
    """FreeMatch: self-adaptive thresholds and a fairness term, see `SelfAdaptive`, `Fairness`.

    The fairness term is negative, and so the loss may be.

    Args:
      momentum: of the running means.
      fairness: weight of the term; 0 leaves it out.
      weight: of the loss.
      clip: range of the global threshold.

    Reference: Wang et al., FreeMatch, ICLR 2023, Section 4 (https://arxiv.org/abs/2205.07246).
    """
    terms = (Fairness(fairness, momentum),) if fairness != 0 else ()
    return Match(mask=SelfAdaptive(momentum, clip), terms=terms, weight=weight)


def SoftMatch(
    momentum: float = 0.999,
    sigmas: float = 2.0,
    weight: float = 1.0,
    moments: Literal["plain", "aligned"] = "plain",
) -> Match:
    """SoftMatch: every guess counts by a truncated Gaussian of its aligned confidence.

    The label is the plain guess; the uniform alignment is for the weight alone.

    Args:
      momentum: of the running moments and of the alignment.
      sigmas: how many standard deviations one of the Gaussian is.
      weight: of the loss.
      moments: the guess whose moments are kept; the paper has "plain", USB "aligned".

    Reference: Chen et al., SoftMatch, ICLR 2023, Section 3 (https://arxiv.org/abs/2301.10921).
    """
    return Match(
        align=Alignment("uniform", momentum),
        target=Hard("plain"),
        mask=TruncatedGaussian(momentum, sigmas, "aligned", moments),
        weight=weight,
    )


def NoisyStudent(
    threshold: float = 0.0,
    soft: bool = True,
    per_class: int | None = None,
    weight: float = 1.0,
    by: Parameters = "selected",
) -> Match:
    """Noisy Student: the strong view learns what the run's teachers said before it began.

    A round of self-training is a run whose `teachers` holds the round before; several teachers
    of one task each make a student of several tasks (MuST, Ghiasi et al., ICCV 2021,
    https://arxiv.org/abs/2108.11353).

    Args:
      threshold: confidence of the teacher at which an image counts.
      soft: whether its probabilities are the target, or its class.
      per_class: how many images of each class count, see `Stored`.
      weight: of the loss.
      by: which parameters of the teacher say it, see `Stored`.

    Reference: Xie et al., Self-training with Noisy Student, CVPR 2020, Section 2
      (https://arxiv.org/abs/1911.04252).
    """
    view = Stored(by, per_class)
    mask = Chosen(view, Threshold(threshold))
    return Match(target=Soft() if soft else Hard(), mask=mask, source=view, weight=weight)
