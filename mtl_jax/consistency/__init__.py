"""Consistency methods for unlabelled data: outputs on several views to a loss per example.

A paper is a recipe of parts (`recipes`), or its own class where it needs more.

Example:
  >>> from mtl_jax import Task, consistency, losses, metrics
  >>> task = Task(
  ...     name="label",
  ...     num_outputs=10,
  ...     loss=losses.cross_entropy,
  ...     metrics=(metrics.Accuracy(),),
  ...     auxiliary=consistency.FixMatch(threshold=0.9),
  ... )
  >>> task.auxiliary.views
  ('weak', 'strong')
"""

from mtl_jax.consistency.adamatch import AdaMatch as AdaMatch
from mtl_jax.consistency.comatch import CoMatch as CoMatch
from mtl_jax.consistency.crmatch import CRMatch as CRMatch
from mtl_jax.consistency.curriculum_threshold import CurriculumThreshold as CurriculumThreshold
from mtl_jax.consistency.cutmix_consistency import CutMixConsistency as CutMixConsistency
from mtl_jax.consistency.dash import Dash as Dash
from mtl_jax.consistency.defixmatch import DeFixMatch as DeFixMatch
from mtl_jax.consistency.distribution_alignment import (
    DistributionAlignment as DistributionAlignment,
)
from mtl_jax.consistency.distribution_alignment import NoAlignment as NoAlignment
from mtl_jax.consistency.distribution_alignment import QueueAlignment as QueueAlignment
from mtl_jax.consistency.divergence import CrossEntropy as CrossEntropy
from mtl_jax.consistency.divergence import KLDivergence as KLDivergence
from mtl_jax.consistency.divergence import SquaredError as SquaredError
from mtl_jax.consistency.fixmatch import fixmatch as fixmatch
from mtl_jax.consistency.ict import ICT as ICT
from mtl_jax.consistency.mask import ConfidenceThreshold as ConfidenceThreshold
from mtl_jax.consistency.mask import NoMask as NoMask
from mtl_jax.consistency.mask import RelativeThreshold as RelativeThreshold
from mtl_jax.consistency.match import Match as Match
from mtl_jax.consistency.match_regression import MatchRegression as MatchRegression
from mtl_jax.consistency.mixmatch import MixMatch as MixMatch
from mtl_jax.consistency.mixmatch_regression import MixMatchRegression as MixMatchRegression
from mtl_jax.consistency.multimatch import MultiMatch as MultiMatch
from mtl_jax.consistency.noisy_student import NoisyStudent as NoisyStudent
from mtl_jax.consistency.per_label import MultiLabel as MultiLabel
from mtl_jax.consistency.projection import ProjectionHead as ProjectionHead
from mtl_jax.consistency.quantile_alignment import RDA as RDA
from mtl_jax.consistency.rankup import RankUp as RankUp
from mtl_jax.consistency.recipes import UDA as UDA
from mtl_jax.consistency.recipes import FixMatch as FixMatch
from mtl_jax.consistency.recipes import FlexMatch as FlexMatch
from mtl_jax.consistency.recipes import FreeMatch as FreeMatch
from mtl_jax.consistency.recipes import MeanTeacher as MeanTeacher
from mtl_jax.consistency.recipes import PiModel as PiModel
from mtl_jax.consistency.recipes import PseudoLabel as PseudoLabel
from mtl_jax.consistency.recipes import SoftMatch as SoftMatch
from mtl_jax.consistency.refixmatch import ReFixMatch as ReFixMatch
from mtl_jax.consistency.regression_recipes import MeanTeacherRegression as MeanTeacherRegression
from mtl_jax.consistency.regression_recipes import PiModelRegression as PiModelRegression
from mtl_jax.consistency.regression_recipes import RankUpRDA as RankUpRDA
from mtl_jax.consistency.remixmatch import ReMixMatch as ReMixMatch
from mtl_jax.consistency.self_adaptive import SelfAdaptiveFairness as SelfAdaptiveFairness
from mtl_jax.consistency.self_adaptive import SelfAdaptiveThreshold as SelfAdaptiveThreshold
from mtl_jax.consistency.sequence_match import SequenceMatch as SequenceMatch
from mtl_jax.consistency.shrinkmatch import ShrinkMatch as ShrinkMatch
from mtl_jax.consistency.signal_annealing import SignalAnnealing as SignalAnnealing
from mtl_jax.consistency.simmatch import SimMatch as SimMatch
from mtl_jax.consistency.sum_of_losses import SumOfLosses as SumOfLosses
from mtl_jax.consistency.supervised_mix import SupervisedMix as SupervisedMix
from mtl_jax.consistency.target import HardLabels as HardLabels
from mtl_jax.consistency.target import SharpenedLabels as SharpenedLabels
from mtl_jax.consistency.teacher_weights import TeacherWeights as TeacherWeights
from mtl_jax.consistency.temporal_ensembling import TemporalEnsembling as TemporalEnsembling
from mtl_jax.consistency.truncated_gaussian import TruncatedGaussian as TruncatedGaussian
from mtl_jax.consistency.unimatch import UniMatch as UniMatch
from mtl_jax.consistency.vat import VAT as VAT
from mtl_jax.consistency.window_alignment import WindowAlignment as WindowAlignment
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
