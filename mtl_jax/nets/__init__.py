"""Trunks and how tasks hang on them; the only room that knows Flax."""

from mtl_jax import typed
from mtl_jax.nets import pretrained as pretrained
from mtl_jax.nets.adapter import Adapter as Adapter
from mtl_jax.nets.adapters import Adapters as Adapters
from mtl_jax.nets.adashare import AdaShare as AdaShare
from mtl_jax.nets.adashare import PolicyCost as PolicyCost
from mtl_jax.nets.attention import Attention as Attention
from mtl_jax.nets.bert import BERT as BERT
from mtl_jax.nets.bit import BiT as BiT
from mtl_jax.nets.bodies import PerTask as PerTask
from mtl_jax.nets.cascaded import Cascaded as Cascaded
from mtl_jax.nets.cgc import CGC as CGC
from mtl_jax.nets.cnn import CNN as CNN
from mtl_jax.nets.compose import compose as compose
from mtl_jax.nets.cross_stitch import CrossStitch as CrossStitch
from mtl_jax.nets.dselect_k import DSelectK as DSelectK
from mtl_jax.nets.dselect_k import SelectorEntropy as SelectorEntropy
from mtl_jax.nets.efficientnet import EfficientNetLite as EfficientNetLite
from mtl_jax.nets.fcn import FCN as FCN
from mtl_jax.nets.film import FiLM as FiLM
from mtl_jax.nets.layer_names import layer_names as layer_names
from mtl_jax.nets.lenet import LeNet as LeNet
from mtl_jax.nets.lora import LoRA as LoRA
from mtl_jax.nets.low_rank import LowRank as LowRank
from mtl_jax.nets.ltb import LTB as LTB
from mtl_jax.nets.mlp import MLP as MLP
from mtl_jax.nets.mmoe import MMoE as MMoE
from mtl_jax.nets.mtan import MTAN as MTAN
from mtl_jax.nets.nddr import NDDR as NDDR
from mtl_jax.nets.ple import PLE as PLE
from mtl_jax.nets.preprocessed import Preprocessed as Preprocessed
from mtl_jax.nets.prompts import Prompts as Prompts
from mtl_jax.nets.resnet import ResNet as ResNet
from mtl_jax.nets.sluice import Orthogonality as Orthogonality
from mtl_jax.nets.sluice import Sluice as Sluice
from mtl_jax.nets.spot_tune import SpotTune as SpotTune
from mtl_jax.nets.spot_tune import rows_of as rows_of
from mtl_jax.nets.ssf import SSF as SSF
from mtl_jax.nets.stoch_norm import StochNorm as StochNorm
from mtl_jax.nets.twins import Twins as Twins
from mtl_jax.nets.vit import ViT as ViT
from mtl_jax.nets.wide_resnet import WideResNet as WideResNet

typed.type_all(globals())
