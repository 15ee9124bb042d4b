"""Prediction metrics, comparison of runs, task affinity and factorial effects."""

from mtl_jax.core import typechecked
from mtl_jax.metrics.affinity import group_tasks as group_tasks
from mtl_jax.metrics.affinity import inter_task_affinity as inter_task_affinity
from mtl_jax.metrics.comparison import confidence_interval as confidence_interval
from mtl_jax.metrics.comparison import delta_m as delta_m
from mtl_jax.metrics.comparison import delta_p as delta_p
from mtl_jax.metrics.comparison import holm as holm
from mtl_jax.metrics.comparison import mean_rank as mean_rank
from mtl_jax.metrics.comparison import p_value as p_value
from mtl_jax.metrics.comparison import significance as significance
from mtl_jax.metrics.comparison import verdicts as verdicts
from mtl_jax.metrics.factorial import contrasts as contrasts
from mtl_jax.metrics.predictions import F1 as F1
from mtl_jax.metrics.predictions import Accuracy as Accuracy
from mtl_jax.metrics.predictions import MeanSquaredError as MeanSquaredError

typechecked.typecheck_exports(globals())
