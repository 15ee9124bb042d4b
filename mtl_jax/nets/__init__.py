"""Trunks and how tasks hang on them; the only room that knows Flax."""

from mtl_jax.nets.adapters import Adapters as Adapters
from mtl_jax.nets.adashare import AdaShare as AdaShare
from mtl_jax.nets.adashare import PolicyCost as PolicyCost
from mtl_jax.nets.attention import Attention as Attention
from mtl_jax.nets.cascaded import Cascaded as Cascaded
from mtl_jax.nets.cgc import CGC as CGC
from mtl_jax.nets.cnn import CNN as CNN
from mtl_jax.nets.compose import PerTask as PerTask
from mtl_jax.nets.compose import compose as compose
from mtl_jax.nets.cross_stitch import CrossStitch as CrossStitch
from mtl_jax.nets.dselect_k import DSelectK as DSelectK
from mtl_jax.nets.dselect_k import SelectorEntropy as SelectorEntropy
from mtl_jax.nets.fcn import FCN as FCN
from mtl_jax.nets.film import FiLM as FiLM
from mtl_jax.nets.lenet import LeNet as LeNet
from mtl_jax.nets.low_rank import LowRank as LowRank
from mtl_jax.nets.ltb import LTB as LTB
from mtl_jax.nets.mlp import MLP as MLP
from mtl_jax.nets.mmoe import MMoE as MMoE
from mtl_jax.nets.mtan import MTAN as MTAN
from mtl_jax.nets.nddr import NDDR as NDDR
from mtl_jax.nets.ple import PLE as PLE
from mtl_jax.nets.resnet import ResNet as ResNet
from mtl_jax.nets.sluice import Orthogonality as Orthogonality
from mtl_jax.nets.sluice import Sluice as Sluice
from mtl_jax.nets.wide_resnet import WideResNet as WideResNet
