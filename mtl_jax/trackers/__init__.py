"""Experiment trackers: TensorBoard, Weights & Biases, MLflow, and the base class of your own.

Nothing is sent unless `--track` or `Experiment.trackers` asks for it.

Example:
  >>> from mtl_jax import trackers
  >>> trackers.TensorBoard(folder="logs")
  TensorBoard(folder='logs')
"""

from mtl_jax.core.tracker import TrackedRun as TrackedRun
from mtl_jax.core.tracker import Tracker as Tracker
from mtl_jax.trackers.mlflow import MLflow as MLflow
from mtl_jax.trackers.tensorboard import TensorBoard as TensorBoard
from mtl_jax.trackers.wandb import WandB as WandB
