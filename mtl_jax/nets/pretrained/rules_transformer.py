"""Common rows for the names of Transformers: linear layers, norms, and attention heads."""

import math

import numpy as np

from mtl_jax.nets.pretrained.name_map import NameRule, Shapes
from mtl_jax.nets.pretrained.transpose import linear


def norms(pattern: str, path: str) -> tuple[NameRule, ...]:
    """The rows of a LayerNorm, with PyTorch's names or the older ones of TensorFlow."""
    scale = NameRule(rf"{pattern}\.(?:weight|gamma)", f"{path}/scale")
    return scale, NameRule(rf"{pattern}\.(?:bias|beta)", f"{path}/bias")


def linears(pattern: str, path: str) -> tuple[NameRule, ...]:
    """The rows of a PyTorch linear layer."""
    kernel = NameRule(rf"{pattern}\.weight", f"{path}/kernel", linear)
    return kernel, NameRule(rf"{pattern}\.bias", f"{path}/bias")


def split_heads(tensors: dict[str, np.ndarray], expected: Shapes) -> dict[str, np.ndarray]:
    """Attention's matrices `[D, D]` and biases `[D]` with an axis for the heads of the trunk.

    A file does not contain the number of heads: a wrong number is not detected.
    """
    shapes = {path: expected.get(path, ()) for path in tensors if "/attention/" in path}
    return tensors | {
        path: tensors[path].reshape(shape)
        for path, shape in shapes.items()
        if math.prod(shape) == tensors[path].size
    }
