"""Transfer learning: initialize from a source model, regularize towards it, or distill from it.

Capitalized names are methods: auxiliary losses for `Task.auxiliary`, the penalty `L2SP` and the
estimator `RidgeClassifier`. Most need a run with a source model (`Initialization.init_from`).

Example:
  >>> from mtl_jax import Task, losses, metrics, transfer
  >>> method = transfer.FitNet(weight=1.0, layers=("Conv_1",))
  >>> task = Task(name="digit", num_outputs=10, loss=losses.cross_entropy,
  ...             metrics=(metrics.Accuracy(),), auxiliary=method)
  >>> task.auxiliary.views  # the labelled images, for the trained model and for the source
  ('labelled', SeparatePass(views=('labelled',), model='source'))
"""

from mtl_jax.core import typechecked
from mtl_jax.transfer import finetuning as finetuning
from mtl_jax.transfer import transferability as transferability
from mtl_jax.transfer.attention_transfer import AttentionTransfer as AttentionTransfer
from mtl_jax.transfer.attention_transfer import attention_transfer as attention_transfer
from mtl_jax.transfer.behavioral_regularization import (
    BehavioralRegularization as BehavioralRegularization,
)
from mtl_jax.transfer.behavioral_regularization import behavioral_loss as behavioral_loss
from mtl_jax.transfer.bi_tuning import BiTuning as BiTuning
from mtl_jax.transfer.bi_tuning_losses import append_bias as append_bias
from mtl_jax.transfer.bi_tuning_losses import cce as cce
from mtl_jax.transfer.bi_tuning_losses import ccl as ccl
from mtl_jax.transfer.bss import BSS as BSS
from mtl_jax.transfer.bss import bss as bss
from mtl_jax.transfer.class_queues import ClassQueues as ClassQueues
from mtl_jax.transfer.class_queues import empty_queues as empty_queues
from mtl_jax.transfer.class_queues import enqueue as enqueue
from mtl_jax.transfer.co_tuning import CoTuning as CoTuning
from mtl_jax.transfer.co_tuning import class_relationship as class_relationship
from mtl_jax.transfer.co_tuning import co_tuning as co_tuning
from mtl_jax.transfer.delta import DELTA as DELTA
from mtl_jax.transfer.delta import channel_weights as channel_weights
from mtl_jax.transfer.delta import delta as delta
from mtl_jax.transfer.distillation import Distillation as Distillation
from mtl_jax.transfer.distillation import distillation as distillation
from mtl_jax.transfer.fitnet import FitNet as FitNet
from mtl_jax.transfer.fitnet import fitnet as fitnet
from mtl_jax.transfer.l2_sp import L2SP as L2SP
from mtl_jax.transfer.l2_sp import l2_sp as l2_sp
from mtl_jax.transfer.lwf import LwF as LwF
from mtl_jax.transfer.lwf import lwf as lwf
from mtl_jax.transfer.pkt import PKT as PKT
from mtl_jax.transfer.pkt import pkt as pkt
from mtl_jax.transfer.restore import HEADS as HEADS
from mtl_jax.transfer.restore import restore_batch_stats as restore_batch_stats
from mtl_jax.transfer.restore import restore_params as restore_params
from mtl_jax.transfer.ridge_probe import RIDGES as RIDGES
from mtl_jax.transfer.ridge_probe import RidgeClassifier as RidgeClassifier
from mtl_jax.transfer.ridge_probe import RidgeProbe as RidgeProbe
from mtl_jax.transfer.ridge_probe import probe_path as probe_path
from mtl_jax.transfer.ridge_probe import ridge_probe as ridge_probe
from mtl_jax.transfer.rkd import RKD as RKD
from mtl_jax.transfer.rkd import rkd_angle as rkd_angle
from mtl_jax.transfer.rkd import rkd_distance as rkd_distance
from mtl_jax.transfer.similarity_preserving import SimilarityPreserving as SimilarityPreserving
from mtl_jax.transfer.similarity_preserving import similarity_preserving as similarity_preserving
from mtl_jax.transfer.update_bn import update_bn as update_bn
from mtl_jax.transfer.weight_space import add_task_vectors as add_task_vectors
from mtl_jax.transfer.weight_space import greedy_soup as greedy_soup
from mtl_jax.transfer.weight_space import interpolate as interpolate
from mtl_jax.transfer.weight_space import task_vector as task_vector
from mtl_jax.transfer.weight_space import uniform_soup as uniform_soup

typechecked.typecheck_exports(globals())
