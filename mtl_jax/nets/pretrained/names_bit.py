"""Names of the tensors of BiT in Google's and timm's files."""

import re

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.names_vit import HALF, table, vector
from mtl_jax.nets.pretrained.rules_transformer import norms
from mtl_jax.nets.pretrained.transpose import conv


def fit_bit(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Renumbers groups from 1 and blocks from 0; moves the last norm to the last block."""
    candidates = [path.rpartition("/")[0] for path in shapes if path.endswith("/norm_end/scale")]
    last_norm = candidates[0] if len(candidates) == 1 else "params/norm_end"

    def rename(path: str) -> str:
        path = re.sub(r"/group(\d+)/", lambda match: f"/stage{int(match[1]) + 1}/", path)
        path = re.sub(r"/unit(\d+)/", lambda match: f"/block{int(match[1]) - 1}/", path)
        return path.replace("params/norm_end", last_norm)

    return {rename(path): array for path, array in tensors.items()}


def dense(array: np.ndarray) -> np.ndarray:
    """PyTorch's kernel of a 1x1 convolution `[C, D, 1, 1]` as Flax's matrix `[D, C]`.

    Raises:
      ValueError: for another number of axes, or a larger kernel.
    """
    return table(conv(array))


def google_norm(pattern: str, path: str) -> tuple[NameRule, ...]:
    """The rows of a TensorFlow group norm, whose arrays may be `[1, 1, 1, D]`."""
    scale = NameRule(rf"{pattern}/group_norm/gamma", f"params/{path}/scale", vector)
    return scale, NameRule(rf"{pattern}/group_norm/beta", f"params/{path}/bias", vector)


# Images of ImageNet-21k have 224 pixels; weights fine-tuned on ImageNet-1k expect 448 or 480, as in
# timm's settings, which can be set by `Pretrained.preprocessing`.
ROOT, KERNEL = "params/stage0/conv/kernel", "standardized_conv2d/kernel"
PARTS = ((1, "a"), (2, "b"), (3, "c"))

UNIT = r"resnet/block(\d+)/unit(\d+)"
HERE = r"stage\1/unit\2"
GOOGLE_BIT = NameMap(
    "Google's BiT",
    (
        NameRule(f"resnet/root_block/{KERNEL}", ROOT),
        *(
            NameRule(f"{UNIT}/{part}/{KERNEL}", f"params/{HERE}/conv{index}/kernel")
            for index, part in PARTS
        ),
        *(
            rule
            for index, part in PARTS
            for rule in google_norm(f"{UNIT}/{part}", f"{HERE}/norm{index}")
        ),
        NameRule(f"{UNIT}/a/proj/{KERNEL}", f"params/{HERE}/project/kernel"),
        *google_norm("resnet", "norm_end"),
        NameRule("resnet/head/conv2d/kernel", "head/kernel", table),
        NameRule("resnet/head/conv2d/bias", "head/bias", vector),
    ),
    HALF,
    fit_bit,
)

BLOCK = r"stages\.(\d+)\.blocks\.(\d+)"
THERE = r"params/group\1/block\2"
TIMM_BIT = NameMap(
    "timm's BiT",
    (
        NameRule(r"stem\.conv\.weight", ROOT, conv),
        *(
            NameRule(rf"{BLOCK}\.conv{index}\.weight", f"{THERE}/conv{index}/kernel", conv)
            for index in (1, 2, 3)
        ),
        *(
            rule
            for index in (1, 2, 3)
            for rule in norms(rf"{BLOCK}\.norm{index}", f"{THERE}/norm{index}")
        ),
        NameRule(rf"{BLOCK}\.downsample\.conv\.weight", f"{THERE}/project/kernel", conv),
        *norms("norm", "params/norm_end"),
        NameRule(r"head\.fc\.weight", "head/kernel", dense),
        NameRule(r"head\.fc\.bias", "head/bias"),
    ),
    HALF,
    fit_bit,
)
