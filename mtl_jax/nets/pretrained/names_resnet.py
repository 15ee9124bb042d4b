"""Names of pretrained residual networks, those of torchvision and timm."""

import numpy as np

from mtl_jax.nets.pretrained.name_map import Line, Names, Shapes
from mtl_jax.nets.pretrained.preprocessing import IMAGENET
from mtl_jax.nets.pretrained.transpose import conv, linear


def norm(pattern: str, place: str) -> tuple[Line, ...]:
    """The lines of a BatchNorm of PyTorch; what it counts batches with is not needed."""
    return (
        Line(rf"{pattern}\.weight", rf"params/{place}/scale"),
        Line(rf"{pattern}\.bias", rf"params/{place}/bias"),
        Line(rf"{pattern}\.running_mean", rf"batch_stats/{place}/mean"),
        Line(rf"{pattern}\.running_var", rf"batch_stats/{place}/var"),
        Line(rf"{pattern}\.num_batches_tracked", None),
    )


def skip_last(tensors: dict[str, np.ndarray], wanted: Shapes) -> dict[str, np.ndarray]:
    """Gives each projection of a skip the number after the convolutions of its block."""

    def numbered(path: str) -> str:
        third = path.replace("_skip/", "_2/")
        return path.replace("_skip/", "_3/") if third in tensors else third

    return {numbered(path): array for path, array in tensors.items()}


BLOCK = r"stage\1/block\2"
TORCHVISION_RESNET = Names(
    name="torchvision's and timm's ResNet",
    table=(
        Line(r"conv1\.weight", "params/stage0/Conv_0/kernel", conv),
        *norm("bn1", "stage0/BatchNorm_0"),
        *(
            line
            for at in (1, 2, 3)
            for line in (
                Line(
                    rf"layer([1-4])\.(\d+)\.conv{at}\.weight",
                    rf"params/{BLOCK}/Conv_{at - 1}/kernel",
                    conv,
                ),
                *norm(rf"layer([1-4])\.(\d+)\.bn{at}", rf"{BLOCK}/BatchNorm_{at - 1}"),
            )
        ),
        Line(
            r"layer([1-4])\.(\d+)\.downsample\.0\.weight",
            rf"params/{BLOCK}/Conv_skip/kernel",
            conv,
        ),
        *norm(r"layer([1-4])\.(\d+)\.downsample\.1", rf"{BLOCK}/BatchNorm_skip"),
        Line(r"fc\.weight", "head/kernel", linear),
        Line(r"fc\.bias", "head/bias"),
    ),
    preprocessing=IMAGENET,
    fit=skip_last,
)
TIMM_RESNET = TORCHVISION_RESNET
