"""State dicts by the names of other programs, with drawn numbers, and files of them."""

import numpy as np
from safetensors.numpy import save_file


def resnet(counts=(2, 2, 2, 2), bottleneck=False, width=2, widen=1, channels=3, classes=5):
    """Tensors of a ResNet as PyTorch's programs name them, of any width."""
    wide = 4 if bottleneck else 1
    shapes = {"conv1.weight": (width, channels, 7, 7), **norm("bn1", width)}
    below = width
    for group, count in enumerate(counts):
        inner = width * 2**group
        within, above = inner * widen, inner * wide
        for at in range(count):
            name = f"layer{group + 1}.{at}"
            kernels = (
                [(within, below, 1, 1), (within, within, 3, 3), (above, within, 1, 1)]
                if bottleneck
                else [(inner, below, 3, 3), (inner, inner, 3, 3)]
            )
            for number, kernel in enumerate(kernels, 1):
                shapes[f"{name}.conv{number}.weight"] = kernel
                shapes |= norm(f"{name}.bn{number}", kernel[0])
            if at == 0 and (group or below != above):
                shapes[f"{name}.downsample.0.weight"] = (above, below, 1, 1)
                shapes |= norm(f"{name}.downsample.1", above)
            below = above
    return drawn({**shapes, "fc.weight": (classes, below), "fc.bias": (classes,)})


def efficientnet_lite0():
    """Tensors of EfficientNet-Lite0 as EfficientNet-PyTorch names them."""
    shapes = {"_conv_stem.weight": (32, 3, 3, 3), **norm("_bn0", 32)}
    groups = (
        (1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112),
        (4, 5, 6, 192), (1, 3, 6, 320),
    )  # fmt: skip
    below, at = 32, 0
    for count, size, expansion, width in groups:
        for _ in range(count):
            name, inner = f"_blocks.{at}.", below * expansion
            if expansion > 1:
                shapes |= {f"{name}_expand_conv.weight": (inner, below, 1, 1)}
                shapes |= norm(f"{name}_bn0", inner)
            shapes |= {f"{name}_depthwise_conv.weight": (inner, 1, size, size)}
            shapes |= norm(f"{name}_bn1", inner)
            shapes |= {f"{name}_project_conv.weight": (width, inner, 1, 1)}
            shapes |= norm(f"{name}_bn2", width)
            below, at = width, at + 1
    shapes |= {"_conv_head.weight": (1280, below, 1, 1), **norm("_bn1", 1280)}
    return drawn({**shapes, "_fc.weight": (10, 1280), "_fc.bias": (10,)})


def norm(name, width):
    """The tensors of a BatchNorm of PyTorch."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def drawn(shapes):
    """Numbers of the shapes, all different, variances above 0; counts are whole."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            tensors[name] = np.asarray(7)
        else:
            low = 0.5 if name.endswith("running_var") else -0.5
            tensors[name] = random.uniform(low, 1.0, shape).astype(np.float32)
    return tensors


def saved(folder, tensors, name="model.safetensors"):
    """The path of a file with the tensors."""
    path = str(folder / name)
    if name.endswith(".npz"):
        np.savez(path, **tensors)
    else:
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path)
    return path
