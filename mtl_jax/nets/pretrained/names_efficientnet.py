"""Names of the tensors of EfficientNet-Lite in EfficientNet-PyTorch."""

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule
from mtl_jax.nets.pretrained.names_resnet import norm
from mtl_jax.nets.pretrained.preprocessing import Preprocessing
from mtl_jax.nets.pretrained.rules_transformer import linears
from mtl_jax.nets.pretrained.transpose import conv

# A convolution, its norm, and the corresponding module here.
PARTS = (
    ("_conv_stem", "_bn0", "stem/conv"),
    (r"_blocks\.(\d+)\._expand_conv", r"_blocks\.(\d+)\._bn0", r"block\1/expand"),
    (r"_blocks\.(\d+)\._depthwise_conv", r"_blocks\.(\d+)\._bn1", r"block\1/depthwise"),
    (r"_blocks\.(\d+)\._project_conv", r"_blocks\.(\d+)\._bn2", r"block\1/project"),
    ("_conv_head", "_bn1", "last/conv"),
)
TABLE = (
    *(NameRule(rf"{name}\.weight", f"params/{path}/kernel", conv) for name, _, path in PARTS),
    *(rule for _, name, path in PARTS for rule in norm(name, f"{path}_norm")),
    *linears("_fc", "head"),
)


def lite(version: int, size: int) -> NameMap:
    """The names for a version, whose images have `size` pixels per side."""
    # Measured on six photographs with Lite0: mean log-probability of the true class -0.34, and
    # -0.51 with the mean and std of ImageNet in EfficientNet-PyTorch's examples; -0.35 with
    # TensorFlow's (127, 128) of 255.
    half = (0.5, 0.5, 0.5)
    name = f"EfficientNet-PyTorch's Lite{version}"
    return NameMap(name, TABLE, Preprocessing(size, half, half))


EFFICIENTNET_LITE0 = lite(0, 224)
EFFICIENTNET_LITE1 = lite(1, 240)
EFFICIENTNET_LITE2 = lite(2, 260)
