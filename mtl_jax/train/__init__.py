"""The pure training step, and initialization and evaluation of its state."""

from mtl_jax.core.step_types import LabelledSubset as LabelledSubset
from mtl_jax.core.step_types import SourceModel as SourceModel
from mtl_jax.core.step_types import Stream as Stream
from mtl_jax.core.step_types import TeacherPredictions as TeacherPredictions
from mtl_jax.core.step_types import TrainData as TrainData
from mtl_jax.core.step_types import TrainState as TrainState
from mtl_jax.train.affinity import measure_affinity as measure_affinity
from mtl_jax.train.batch import example_spec as example_spec
from mtl_jax.train.batch import num_unlabelled as num_unlabelled
from mtl_jax.train.evaluate import Evaluation as Evaluation
from mtl_jax.train.evaluate import evaluate as evaluate
from mtl_jax.train.evaluate import features_and_logits as features_and_logits
from mtl_jax.train.evaluate import predict_chunked as predict_chunked
from mtl_jax.train.inspect_step import StepQuantities as StepQuantities
from mtl_jax.train.inspect_step import make_inspection as make_inspection
from mtl_jax.train.precompute import methods_with_precompute as methods_with_precompute
from mtl_jax.train.precompute import precompute as precompute
from mtl_jax.train.state import build_model as build_model
from mtl_jax.train.state import head_specs as head_specs
from mtl_jax.train.state import init_model as init_model
from mtl_jax.train.state import init_train_state as init_train_state
from mtl_jax.train.state import output_positions as output_positions
from mtl_jax.train.step import make_train_step as make_train_step
from mtl_jax.train.toy import optimize_trajectory as optimize_trajectory
