"""Learning from unlabelled views: outputs for several views to a loss for each example.

A paper is a recipe of parts (`recipes`), or a class of its own where it does more.
"""

from mtl_jax.consistency.adamatch import AdaMatch as AdaMatch
from mtl_jax.consistency.comatch import CoMatch as CoMatch
from mtl_jax.consistency.crmatch import CRMatch as CRMatch
from mtl_jax.consistency.curriculum_threshold import ClassStatus as ClassStatus
from mtl_jax.consistency.dash import Dash as Dash
from mtl_jax.consistency.defixmatch import DeFixMatch as DeFixMatch
from mtl_jax.consistency.distribution_alignment import Alignment as Alignment
from mtl_jax.consistency.distribution_alignment import QueueAlignment as QueueAlignment
from mtl_jax.consistency.distribution_alignment import Unaligned as Unaligned
from mtl_jax.consistency.divergence import CrossEntropy as CrossEntropy
from mtl_jax.consistency.divergence import KLDivergence as KLDivergence
from mtl_jax.consistency.divergence import SquaredError as SquaredError
from mtl_jax.consistency.fixmatch import fixmatch as fixmatch
from mtl_jax.consistency.ict import ICT as ICT
from mtl_jax.consistency.mask import Everything as Everything
from mtl_jax.consistency.mask import Relative as Relative
from mtl_jax.consistency.mask import Threshold as Threshold
from mtl_jax.consistency.match import Match as Match
from mtl_jax.consistency.match_regression import MatchNumbers as MatchNumbers
from mtl_jax.consistency.mixmatch import MixMatch as MixMatch
from mtl_jax.consistency.mixmatch_regression import MixMatchNumbers as MixMatchNumbers
from mtl_jax.consistency.multimatch import MultiMatch as MultiMatch
from mtl_jax.consistency.per_label import PerLabel as PerLabel
from mtl_jax.consistency.projection import Projection as Projection
from mtl_jax.consistency.quantile_alignment import RDA as RDA
from mtl_jax.consistency.rankup import RankUp as RankUp
from mtl_jax.consistency.recipes import UDA as UDA
from mtl_jax.consistency.recipes import FixMatch as FixMatch
from mtl_jax.consistency.recipes import FlexMatch as FlexMatch
from mtl_jax.consistency.recipes import FreeMatch as FreeMatch
from mtl_jax.consistency.recipes import MeanTeacher as MeanTeacher
from mtl_jax.consistency.recipes import NoisyStudent as NoisyStudent
from mtl_jax.consistency.recipes import PiModel as PiModel
from mtl_jax.consistency.recipes import PseudoLabel as PseudoLabel
from mtl_jax.consistency.recipes import SoftMatch as SoftMatch
from mtl_jax.consistency.refixmatch import ReFixMatch as ReFixMatch
from mtl_jax.consistency.regression_recipes import MeanTeacherNumbers as MeanTeacherNumbers
from mtl_jax.consistency.regression_recipes import PiModelNumbers as PiModelNumbers
from mtl_jax.consistency.regression_recipes import RankUpRDA as RankUpRDA
from mtl_jax.consistency.remixmatch import ReMixMatch as ReMixMatch
from mtl_jax.consistency.self_adaptive import Fairness as Fairness
from mtl_jax.consistency.self_adaptive import SelfAdaptive as SelfAdaptive
from mtl_jax.consistency.sequence_match import SequenceMatch as SequenceMatch
from mtl_jax.consistency.shrinkmatch import ShrinkMatch as ShrinkMatch
from mtl_jax.consistency.signal_annealing import Annealed as Annealed
from mtl_jax.consistency.simmatch import SimMatch as SimMatch
from mtl_jax.consistency.sum_of_losses import Together as Together
from mtl_jax.consistency.target import Hard as Hard
from mtl_jax.consistency.target import Soft as Soft
from mtl_jax.consistency.teacher_weights import Chosen as Chosen
from mtl_jax.consistency.temporal_ensembling import TemporalEnsembling as TemporalEnsembling
from mtl_jax.consistency.truncated_gaussian import TruncatedGaussian as TruncatedGaussian
from mtl_jax.consistency.vat import VAT as VAT
from mtl_jax.consistency.window_alignment import WindowAlignment as WindowAlignment
from mtl_jax.core import typechecked

typechecked.type_all(globals())
