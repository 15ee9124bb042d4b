"""Names of the tensors of residual networks in torchvision and timm."""

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.preprocessing import IMAGENET
from mtl_jax.nets.pretrained.transpose import conv, linear


def norm(pattern: str, path: str) -> tuple[NameRule, ...]:
    """The rows of a PyTorch BatchNorm; its counter of batches is not needed."""
    return (
        NameRule(rf"{pattern}\.weight", rf"params/{path}/scale"),
        NameRule(rf"{pattern}\.bias", rf"params/{path}/bias"),
        NameRule(rf"{pattern}\.running_mean", rf"batch_stats/{path}/mean"),
        NameRule(rf"{pattern}\.running_var", rf"batch_stats/{path}/var"),
        NameRule(rf"{pattern}\.num_batches_tracked", None),
    )


def fit_resnet(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    """Renumbers each skip projection to come after the convolutions of its block."""

    def rename(path: str) -> str:
        candidate = path.replace("_skip/", "_2/")
        return path.replace("_skip/", "_3/") if candidate in tensors else candidate

    return {rename(path): array for path, array in tensors.items()}


BLOCK = r"stage\1/block\2"
TORCHVISION_RESNET = NameMap(
    name="torchvision's and timm's ResNet",
    table=(
        NameRule(r"conv1\.weight", "params/stage0/Conv_0/kernel", conv),
        *norm("bn1", "stage0/BatchNorm_0"),
        *(
            rule
            for index in (1, 2, 3)
            for rule in (
                NameRule(
                    rf"layer([1-4])\.(\d+)\.conv{index}\.weight",
                    rf"params/{BLOCK}/Conv_{index - 1}/kernel",
                    conv,
                ),
                *norm(rf"layer([1-4])\.(\d+)\.bn{index}", rf"{BLOCK}/BatchNorm_{index - 1}"),
            )
        ),
        NameRule(
            r"layer([1-4])\.(\d+)\.downsample\.0\.weight",
            rf"params/{BLOCK}/Conv_skip/kernel",
            conv,
        ),
        *norm(r"layer([1-4])\.(\d+)\.downsample\.1", rf"{BLOCK}/BatchNorm_skip"),
        NameRule(r"fc\.weight", "head/kernel", linear),
        NameRule(r"fc\.bias", "head/bias"),
    ),
    preprocessing=IMAGENET,
    fit=fit_resnet,
)
TIMM_RESNET = TORCHVISION_RESNET
