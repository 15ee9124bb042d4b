"""Papers as recipes for tasks that predict numbers."""

from mtl_jax.consistency.match_regression import MatchNumbers
from mtl_jax.consistency.quantile_alignment import RDA
from mtl_jax.consistency.rankup import RankUp
from mtl_jax.core.views import Apart, View


def PiModelNumbers(
    weight: float = 0.1, ramp: float = 0.4, freeze_statistics: bool = False
) -> MatchNumbers:
    """Pi-model of numbers: two weak views agree in squared error of their outputs.

    Args:
      weight: of the loss; 0.1 is for targets of about unit variance.
      ramp: share of the training over which it grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics alone, by
        passes of their own.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242); weight and ramp for numbers: Huang et al., RankUp,
      NeurIPS 2024, settings of the authors' code (https://arxiv.org/abs/2410.22124).
    """
    source: View = Apart(("weak",), "frozen_student") if freeze_statistics else "weak"
    learner: View = Apart(("weak2",)) if freeze_statistics else "weak2"
    return MatchNumbers(source, learner, weight, ramp)


def MeanTeacherNumbers(
    weight: float = 0.1, ramp: float = 0.4, learner: View = "weak2"
) -> MatchNumbers:
    """Mean Teacher of numbers: the averaged model's outputs for one view are followed.

    The average is the run's `ema`. The teacher normalises by the statistics of its own batch.

    Args:
      weight: of the loss; 0.1 is for targets of about unit variance.
      ramp: share of the training over which it grows.
      learner: the view that learns.

    Reference: Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017,
      Section 2 (https://arxiv.org/abs/1703.01780); weight and ramp for numbers: Huang et al.,
      RankUp, NeurIPS 2024, settings of the authors' code (https://arxiv.org/abs/2410.22124).
    """
    return MatchNumbers(Apart(("weak",), "teacher"), learner, weight, ramp)


def RankUpRDA(share: float = 0.2, threshold: float = 0.95, every: int = 1024) -> RankUp:
    """RankUp with regression distribution alignment, see `RankUp` and `RDA`.

    Args:
      share: weight of the ranking classifier's losses.
      threshold: confidence at which a guessed order counts.
      every: steps from one alignment to the next.

    Reference: Huang et al., RankUp, NeurIPS 2024 (https://arxiv.org/abs/2410.22124).
    """
    return RankUp(share, threshold, also=RDA(every))
