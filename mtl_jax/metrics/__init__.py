"""Prediction metrics, comparison of runs, task affinity and factorial effects."""

from mtl_jax.core import typechecked
from mtl_jax.metrics.adaptive_bins import AdaptiveCalibrationError as AdaptiveCalibrationError
from mtl_jax.metrics.affinity import group_tasks as group_tasks
from mtl_jax.metrics.affinity import inter_task_affinity as inter_task_affinity
from mtl_jax.metrics.binary import F1 as F1
from mtl_jax.metrics.binary import Precision as Precision
from mtl_jax.metrics.binary import Recall as Recall
from mtl_jax.metrics.bootstrap import bootstrap_interval as bootstrap_interval
from mtl_jax.metrics.calibration import BrierScore as BrierScore
from mtl_jax.metrics.calibration import ExpectedCalibrationError as ExpectedCalibrationError
from mtl_jax.metrics.calibration import NegativeLogLikelihood as NegativeLogLikelihood
from mtl_jax.metrics.calibration import TopKAccuracy as TopKAccuracy
from mtl_jax.metrics.center_boxes import decode_centers as decode_centers
from mtl_jax.metrics.class_scores import ClassF1 as ClassF1
from mtl_jax.metrics.class_scores import ClassIoU as ClassIoU
from mtl_jax.metrics.class_scores import ClassPrecision as ClassPrecision
from mtl_jax.metrics.class_scores import ClassRecall as ClassRecall
from mtl_jax.metrics.comparison import confidence_interval as confidence_interval
from mtl_jax.metrics.comparison import delta_m as delta_m
from mtl_jax.metrics.comparison import delta_p as delta_p
from mtl_jax.metrics.comparison import holm as holm
from mtl_jax.metrics.comparison import mean_rank as mean_rank
from mtl_jax.metrics.comparison import p_value as p_value
from mtl_jax.metrics.comparison import significance as significance
from mtl_jax.metrics.comparison import verdicts as verdicts
from mtl_jax.metrics.correlation import Concordance as Concordance
from mtl_jax.metrics.correlation import Spearman as Spearman
from mtl_jax.metrics.detection import MeanAveragePrecision as MeanAveragePrecision
from mtl_jax.metrics.error_rates import CharacterErrorRate as CharacterErrorRate
from mtl_jax.metrics.error_rates import WordErrorRate as WordErrorRate
from mtl_jax.metrics.factorial import contrasts as contrasts
from mtl_jax.metrics.interquartile_mean import interquartile_mean as interquartile_mean
from mtl_jax.metrics.mean_difference import mean_difference as mean_difference
from mtl_jax.metrics.normals import AngleWithin as AngleWithin
from mtl_jax.metrics.normals import MeanAngle as MeanAngle
from mtl_jax.metrics.normals import MedianAngle as MedianAngle
from mtl_jax.metrics.predictions import Accuracy as Accuracy
from mtl_jax.metrics.predictions import MeanSquaredError as MeanSquaredError
from mtl_jax.metrics.probability_of_improvement import (
    probability_of_improvement as probability_of_improvement,
)
from mtl_jax.metrics.ranking import AUROC as AUROC
from mtl_jax.metrics.ranking import AveragePrecision as AveragePrecision
from mtl_jax.metrics.regression import R2 as R2
from mtl_jax.metrics.regression import AbsoluteRelativeError as AbsoluteRelativeError
from mtl_jax.metrics.regression import MeanAbsoluteError as MeanAbsoluteError
from mtl_jax.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from mtl_jax.metrics.segmentation import BalancedAccuracy as BalancedAccuracy
from mtl_jax.metrics.segmentation import FrequencyWeightedIoU as FrequencyWeightedIoU
from mtl_jax.metrics.segmentation import MacroF1 as MacroF1
from mtl_jax.metrics.segmentation import MacroPrecision as MacroPrecision
from mtl_jax.metrics.segmentation import MeanIoU as MeanIoU
from mtl_jax.metrics.spans import ExactMatch as ExactMatch
from mtl_jax.metrics.spans import SpanF1 as SpanF1

typechecked.typecheck_exports(globals())
