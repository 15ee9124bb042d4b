"""What tables of names of Transformers have in common: layers, norms, and heads of attention."""

import math

import numpy as np

from mtl_jax.nets.pretrained.name_map import Line, Shapes
from mtl_jax.nets.pretrained.transpose import linear


def norms(pattern: str, path: str) -> tuple[Line, ...]:
    """The lines of a LayerNorm, of PyTorch or by the older names of TensorFlow."""
    scale = Line(rf"{pattern}\.(?:weight|gamma)", f"{path}/scale")
    return scale, Line(rf"{pattern}\.(?:bias|beta)", f"{path}/bias")


def linears(pattern: str, path: str) -> tuple[Line, ...]:
    """The lines of a linear layer of PyTorch."""
    kernel = Line(rf"{pattern}\.weight", f"{path}/kernel", linear)
    return kernel, Line(rf"{pattern}\.bias", f"{path}/bias")


def by_head(tensors: dict[str, np.ndarray], wanted: Shapes) -> dict[str, np.ndarray]:
    """Attention's matrices `[D, D]` and biases `[D]` with an axis for the heads of the trunk.

    A file does not tell the number of heads: with a wrong one all seems to fit.
    """
    shapes = {path: wanted.get(path, ()) for path in tensors if "/attention/" in path}
    return tensors | {
        path: tensors[path].reshape(shape)
        for path, shape in shapes.items()
        if math.prod(shape) == tensors[path].size
    }
