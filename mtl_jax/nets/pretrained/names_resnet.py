"""Names of the tensors of residual networks in torchvision and timm."""

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes
from mtl_jax.nets.pretrained.preprocessing import IMAGENET
from mtl_jax.nets.pretrained.transpose import conv, linear


def norm(pattern: str, place: str) -> tuple[NameRule, ...]:
    """The rows of a PyTorch BatchNorm; its counter of batches is not needed."""
    return (
        NameRule(rf"{pattern}\.weight", rf"params/{place}/scale"),
        NameRule(rf"{pattern}\.bias", rf"params/{place}/bias"),
        NameRule(rf"{pattern}\.running_mean", rf"batch_stats/{place}/mean"),
        NameRule(rf"{pattern}\.running_var", rf"batch_stats/{place}/var"),
        NameRule(rf"{pattern}\.num_batches_tracked", None),
    )


def skip_last(tensors: dict[str, np.ndarray], wanted: Shapes) -> dict[str, np.ndarray]:
    """Renumbers each skip projection to come after the convolutions of its block."""

    def numbered(path: str) -> str:
        third = path.replace("_skip/", "_2/")
        return path.replace("_skip/", "_3/") if third in tensors else third

    return {numbered(path): array for path, array in tensors.items()}


BLOCK = r"stage\1/block\2"
TORCHVISION_RESNET = NameMap(
    name="torchvision's and timm's ResNet",
    table=(
        NameRule(r"conv1\.weight", "params/stage0/Conv_0/kernel", conv),
        *norm("bn1", "stage0/BatchNorm_0"),
        *(
            line
            for at in (1, 2, 3)
            for line in (
                NameRule(
                    rf"layer([1-4])\.(\d+)\.conv{at}\.weight",
                    rf"params/{BLOCK}/Conv_{at - 1}/kernel",
                    conv,
                ),
                *norm(rf"layer([1-4])\.(\d+)\.bn{at}", rf"{BLOCK}/BatchNorm_{at - 1}"),
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
    fit=skip_last,
)
TIMM_RESNET = TORCHVISION_RESNET
