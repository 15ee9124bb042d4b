"""Loading of pretrained weights into trunks."""

from mtl_jax.core import typechecked
from mtl_jax.nets.pretrained.files import read_tensors as read_tensors
from mtl_jax.nets.pretrained.hub import download as download
from mtl_jax.nets.pretrained.name_map import NameMap as NameMap
from mtl_jax.nets.pretrained.name_map import NameRule as NameRule
from mtl_jax.nets.pretrained.names_bert import BERT as BERT
from mtl_jax.nets.pretrained.names_bit import GOOGLE_BIT as GOOGLE_BIT
from mtl_jax.nets.pretrained.names_bit import TIMM_BIT as TIMM_BIT
from mtl_jax.nets.pretrained.names_efficientnet import EFFICIENTNET_LITE0 as EFFICIENTNET_LITE0
from mtl_jax.nets.pretrained.names_efficientnet import EFFICIENTNET_LITE1 as EFFICIENTNET_LITE1
from mtl_jax.nets.pretrained.names_efficientnet import EFFICIENTNET_LITE2 as EFFICIENTNET_LITE2
from mtl_jax.nets.pretrained.names_resnet import TIMM_RESNET as TIMM_RESNET
from mtl_jax.nets.pretrained.names_resnet import TORCHVISION_RESNET as TORCHVISION_RESNET
from mtl_jax.nets.pretrained.names_vit import GOOGLE_VIT as GOOGLE_VIT
from mtl_jax.nets.pretrained.names_vit import TIMM_VIT as TIMM_VIT
from mtl_jax.nets.pretrained.names_wide_resnet import USB_WIDE_RESNET as USB_WIDE_RESNET
from mtl_jax.nets.pretrained.preprocessing import IMAGENET as IMAGENET
from mtl_jax.nets.pretrained.preprocessing import Preprocessing as Preprocessing
from mtl_jax.nets.pretrained.run_checkpoint import EXPORTED as EXPORTED
from mtl_jax.nets.pretrained.run_checkpoint import OWN_RUN_AVERAGED as OWN_RUN_AVERAGED
from mtl_jax.nets.pretrained.run_checkpoint import OWN_RUN_LAST as OWN_RUN_LAST
from mtl_jax.nets.pretrained.run_checkpoint import RUN_CHECKPOINT as RUN_CHECKPOINT
from mtl_jax.nets.pretrained.weights import Pretrained as Pretrained
from mtl_jax.nets.pretrained.weights import Weights as Weights

typechecked.typecheck_exports(globals())
