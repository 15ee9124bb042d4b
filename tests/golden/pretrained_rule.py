"""State dicts of the pretrained format: no weights are stored, each is drawn from its name."""

import math
import pathlib
import zlib

import numpy as np

from tests.golden.reading import read


def models(directory: pathlib.Path) -> dict[str, dict]:
    """Every model of the files of a directory that are of the pretrained format, by name."""
    files = [file for file in read(directory).values() if "rule" in file and "models" in file]
    return {name: model for file in files for name, model in file["models"].items()}


def state_dict(model: dict) -> dict[str, np.ndarray]:
    """The tensors of a model."""
    return {name: drawn(name, shape) for name, shape in model["state_dict"].items()}


def drawn(name: str, shape: list[int]) -> np.ndarray:
    """A tensor by the rule that the file tells."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    x = random.standard_normal(shape)
    if name.endswith("running_var"):
        x = 0.5 + random.random(shape)
    elif name.endswith("running_mean"):
        x = 0.1 * x
    elif len(shape) <= 1:
        x = 1.0 + 0.1 * x if name.endswith("weight") else 0.1 * x
    else:
        x = x / math.sqrt(math.prod(shape[1:]))
    return x.astype(np.float32)


def images(model: dict) -> np.ndarray:
    """The images `[N, H, W, C]` that a model was given."""
    side = 224 if "224" in model["input"] else 64
    assert f"(2,3,{side},{side})" in model["input"], model["input"]
    x = np.random.default_rng(0).standard_normal((2, 3, side, side))
    return x.astype(np.float32).transpose(0, 2, 3, 1)
