"""Heads: modules from the features of a trunk to the outputs of a task."""

from mtl_jax.core import typechecked
from mtl_jax.nets.heads.aspp import ASPP as ASPP
from mtl_jax.nets.heads.center import Center as Center
from mtl_jax.nets.heads.fpn import FPN as FPN
from mtl_jax.nets.heads.mlp import Linear as Linear
from mtl_jax.nets.heads.mlp import MLPHead as MLPHead
from mtl_jax.nets.heads.pixel import Pixel as Pixel
from mtl_jax.nets.heads.segnet import SegNetHead as SegNetHead
from mtl_jax.nets.heads.token import Span as Span
from mtl_jax.nets.heads.token import Token as Token

typechecked.typecheck_exports(globals())
