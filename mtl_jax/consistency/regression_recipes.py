"""Recipes of published methods for regression."""

from mtl_jax.consistency.match_regression import MatchRegression
from mtl_jax.consistency.quantile_alignment import RDA
from mtl_jax.consistency.rankup import RankUp
from mtl_jax.core.views import SeparatePass, View


def PiModelRegression(
    weight: float = 0.1, ramp: float = 0.4, freeze_statistics: bool = False
) -> MatchRegression:
    """Pi-model for regression: squared error between the outputs of two weak views.

    Args:
      weight: of the loss; 0.1 is for targets of about unit variance.
      ramp: fraction of training over which the loss grows.
      freeze_statistics: whether unlabelled images leave BatchNorm's statistics unchanged, by
        separate passes.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, Section 2.1
      (https://arxiv.org/abs/1610.02242); weight and ramp for regression: Huang et al., RankUp,
      NeurIPS 2024, settings of the authors' code (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.PiModelRegression().views
      ('weak', 'weak2')
    """
    source: View = SeparatePass(("weak",), "frozen_student") if freeze_statistics else "weak"
    student_view: View = SeparatePass(("weak2",)) if freeze_statistics else "weak2"
    return MatchRegression(source, student_view, weight, ramp)


def MeanTeacherRegression(
    weight: float = 0.1, ramp: float = 0.4, student_view: View = "weak2"
) -> MatchRegression:
    """Mean Teacher for regression: a view is matched to the averaged model's outputs.

    The averaged model is the run's (`ema_decay`). The teacher normalizes by the statistics of
    its own batch.

    Args:
      weight: of the loss; 0.1 is for targets of about unit variance.
      ramp: fraction of training over which the loss grows.
      student_view: view that is trained.

    Reference: Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017,
      Section 2 (https://arxiv.org/abs/1703.01780); weight and ramp for regression: Huang et al.,
      RankUp, NeurIPS 2024, settings of the authors' code (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.MeanTeacherRegression(student_view="strong").views
      (SeparatePass(views=('weak',), model='teacher'), 'strong')
    """
    return MatchRegression(SeparatePass(("weak",), "teacher"), student_view, weight, ramp)


def RankUpRDA(arc_weight: float = 0.2, threshold: float = 0.95, every: int = 1024) -> RankUp:
    """RankUp with regression distribution alignment, see `RankUp` and `RDA`.

    Args:
      arc_weight: weight of the ranking classifier's losses.
      threshold: confidence from which a predicted order counts.
      every: steps between alignments.

    Reference: Huang et al., RankUp, NeurIPS 2024 (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.RankUpRDA(every=100).regression_method
      RDA(every=100, weight=1.0, ramp=0.4)
    """
    return RankUp(arc_weight, threshold, regression_method=RDA(every))
