"""Losses of each example, without reduction: averaging is left to the caller.

All take any leading shape, so that pixels and tokens are examples too, except for those of whole
maps (`dice_loss`, `center_loss`), sequences (`ctc_loss`) and pairs of views (`nt_xent`).
"""

from mtl_jax.losses.binary import binary_cross_entropy as binary_cross_entropy
from mtl_jax.losses.binary import sigmoid_focal_loss as sigmoid_focal_loss
from mtl_jax.losses.center import center_loss as center_loss
from mtl_jax.losses.classify import cross_entropy as cross_entropy
from mtl_jax.losses.classify import softmax_focal_loss as softmax_focal_loss
from mtl_jax.losses.contrastive import nt_xent as nt_xent
from mtl_jax.losses.ctc import ctc_loss as ctc_loss
from mtl_jax.losses.dice import dice_loss as dice_loss
from mtl_jax.losses.normals import cosine_distance as cosine_distance
from mtl_jax.losses.regress import absolute_error as absolute_error
from mtl_jax.losses.regress import huber_loss as huber_loss
from mtl_jax.losses.regress import log_cosh as log_cosh
from mtl_jax.losses.regress import squared_error as squared_error
from mtl_jax.losses.targets import kl_divergence as kl_divergence
from mtl_jax.losses.targets import probability_squared_error as probability_squared_error
from mtl_jax.losses.targets import soft_cross_entropy as soft_cross_entropy
