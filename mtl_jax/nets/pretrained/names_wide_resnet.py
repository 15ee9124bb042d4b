"""Names of the tensors of WideResNets in TorchSSL and USB."""

import re

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.names_resnet import norm
from mtl_jax.nets.pretrained.transpose import conv, linear


def fit_wide_resnet(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Moves the norm after the blocks to the last block, as its last norm."""
    matches = [re.match(r"params/stage(\d+)/block(\d+)/", path) for path in tensors]
    numbers = [tuple(map(int, match.groups())) for match in matches if match]
    if not numbers:
        return tensors
    group, block = max(numbers)
    last_norm = f"stage{group}/block{block}/BatchNorm_"
    last_norm += "2" if f"params/{last_norm}1/scale" in tensors else "1"
    return {path.replace("/end/", f"/{last_norm}/"): array for path, array in tensors.items()}


def convolution(pattern: str, path: str) -> tuple[NameRule, ...]:
    """The rows of a convolution, which may have a bias."""
    kernel = NameRule(rf"{pattern}\.weight", f"params/{path}/kernel", conv)
    return kernel, NameRule(rf"{pattern}\.bias", f"params/{path}/bias")


ANY = r"block(\d)\.layer\.(\d+)\."
HERE = r"stage\1/block\2"
USB_WIDE_RESNET = NameMap(
    name="TorchSSL's and USB's WideResNet",
    table=(
        *convolution("conv1", "stage0/Conv_0"),
        # Computed there, but only used for its own statistics.
        NameRule(r"block[2-9]\.layer\.0\.bn1\..*", None),
        *norm(r"block([2-9])\.layer\.(0)\.bn2", f"{HERE}/BatchNorm_0"),
        *norm(f"{ANY}bn1", f"{HERE}/BatchNorm_0"),
        *norm(f"{ANY}bn2", f"{HERE}/BatchNorm_1"),
        *convolution(f"{ANY}conv1", f"{HERE}/Conv_0"),
        *convolution(f"{ANY}conv2", f"{HERE}/Conv_1"),
        *convolution(f"{ANY}convShortcut", f"{HERE}/Conv_2"),
        *norm("bn1", "end"),
        NameRule(r"(?:fc|classifier)\.weight", "head/kernel", linear),
        NameRule(r"(?:fc|classifier)\.bias", "head/bias"),
    ),
    fit=fit_wide_resnet,
)
