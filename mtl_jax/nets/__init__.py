"""Trunks and multi-task architectures; the only package that depends on Flax."""

from mtl_jax.core import typechecked
from mtl_jax.nets import heads as heads
from mtl_jax.nets import pretrained as pretrained
from mtl_jax.nets.backbones.bert import BERT as BERT
from mtl_jax.nets.backbones.bit import BiT as BiT
from mtl_jax.nets.backbones.cnn import CNN as CNN
from mtl_jax.nets.backbones.efficientnet import EfficientNetLite as EfficientNetLite
from mtl_jax.nets.backbones.fcn import FCN as FCN
from mtl_jax.nets.backbones.lenet import LeNet as LeNet
from mtl_jax.nets.backbones.mlp import MLP as MLP
from mtl_jax.nets.backbones.mpnn import MPNN as MPNN
from mtl_jax.nets.backbones.resnet import ResNet as ResNet
from mtl_jax.nets.backbones.segnet import SegNet as SegNet
from mtl_jax.nets.backbones.unet import UNet as UNet
from mtl_jax.nets.backbones.vit import ViT as ViT
from mtl_jax.nets.backbones.wide_resnet import WideResNet as WideResNet
from mtl_jax.nets.compose import make_model as make_model
from mtl_jax.nets.encoder import PerTaskTrunk as PerTaskTrunk
from mtl_jax.nets.layer_names import layer_names as layer_names
from mtl_jax.nets.multitask.adashare import AdaShare as AdaShare
from mtl_jax.nets.multitask.adashare import PolicyCost as PolicyCost
from mtl_jax.nets.multitask.attention import Attention as Attention
from mtl_jax.nets.multitask.cascaded import Cascaded as Cascaded
from mtl_jax.nets.multitask.cgc import CGC as CGC
from mtl_jax.nets.multitask.cross_stitch import CrossStitch as CrossStitch
from mtl_jax.nets.multitask.dselect_k import DSelectK as DSelectK
from mtl_jax.nets.multitask.dselect_k import SelectorEntropy as SelectorEntropy
from mtl_jax.nets.multitask.film import FiLM as FiLM
from mtl_jax.nets.multitask.low_rank import LowRank as LowRank
from mtl_jax.nets.multitask.ltb import LTB as LTB
from mtl_jax.nets.multitask.mmoe import MMoE as MMoE
from mtl_jax.nets.multitask.mtan import MTAN as MTAN
from mtl_jax.nets.multitask.nddr import NDDR as NDDR
from mtl_jax.nets.multitask.ple import PLE as PLE
from mtl_jax.nets.multitask.segnet_mtan import SegNetMTAN as SegNetMTAN
from mtl_jax.nets.multitask.sluice import Sluice as Sluice
from mtl_jax.nets.multitask.sluice import SubspaceOrthogonality as SubspaceOrthogonality
from mtl_jax.nets.multitask.task_adapters import Adapters as Adapters
from mtl_jax.nets.multitask.two_branch import TwoBranch as TwoBranch
from mtl_jax.nets.peft.lora import LoRA as LoRA
from mtl_jax.nets.peft.preprocessed import Preprocessed as Preprocessed
from mtl_jax.nets.peft.prompts import Prompts as Prompts
from mtl_jax.nets.peft.spot_tune import SpotTune as SpotTune
from mtl_jax.nets.peft.spot_tune import source_param_map as source_param_map
from mtl_jax.nets.peft.ssf import SSF as SSF
from mtl_jax.nets.peft.stoch_norm import StochNorm as StochNorm
from mtl_jax.nets.peft.transformer_adapter import Adapter as Adapter

typechecked.typecheck_exports(globals())
