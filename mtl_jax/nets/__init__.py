"""Trunks and how tasks hang on them; the only room that knows Flax."""

from mtl_jax.nets.cnn import CNN as CNN
from mtl_jax.nets.compose import PerTask as PerTask
from mtl_jax.nets.compose import compose as compose
from mtl_jax.nets.mlp import MLP as MLP
