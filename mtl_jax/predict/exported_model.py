"""An exported model as a function."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.export
import numpy as np

from mtl_jax.core.validation import BadInput, few
from mtl_jax.predict.answers import Answer, answer
from mtl_jax.predict.description import (
    INPUTS,
    MODULE,
    WEIGHTS,
    ArraySpec,
    Description,
    InputKind,
    read_description,
)
from mtl_jax.predict.module import from_module

CHUNK_SIZE = 256  # Largest number of examples in a call of `predict`.


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedModel:
    """A model that was exported with `launch.py --export`, on the default device.

    Attributes:
      folder: its folder.
      description: what it reads and answers.
      variables: its parameters and batch statistics by path.
      exported: the function `(variables, inputs) -> outputs` of `jax.export`, each a flat dict.
    """

    folder: pathlib.Path
    description: Description
    variables: Mapping[str, jax.Array]
    exported: jax.export.Exported

    @functools.cached_property
    def compiled(self) -> Any:
        """The jitted function; each number of examples is compiled once."""
        return jax.jit(self.exported.call)

    def __call__(self, inputs: Any) -> dict[str, Any]:
        """Outputs of every task as the training code has them: `[N, ..., C]`, or a dict of arrays.

        Args:
          inputs: N inputs as in `preprocessing.json`: an array, or a dict of arrays by name. Images
            are uint8 or floats in [0, 1].

        Raises:
          BadInput: for inputs of another shape, dtype or range.
        """
        found = jax.device_get(self.compiled(self.variables, self.check(inputs)))
        outputs: dict[str, Any] = {task.name: {} for task in self.description.tasks}
        for name, array in found.items():
            task, _, part = name.partition("/")
            if part:
                outputs[task][part] = array
            else:
                outputs[task] = array
        return outputs

    def predict(self, inputs: Any) -> dict[str, Answer]:
        """The answer of every task to N inputs, as in `__call__`; in chunks of 256."""
        arrays = self.check(inputs)
        count = len(next(iter(arrays.values())))
        size = min(count, CHUNK_SIZE)
        parts = []
        for first in range(0, count, size):
            # The last chunk is filled up, so that it is not compiled for its own size.
            rows = np.minimum(np.arange(first, first + size), count - 1)
            parts.append(self({name: array[rows] for name, array in arrays.items()}))
        outputs = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
        return {task.name: answer(task, outputs[task.name]) for task in self.description.tasks}

    def check(self, inputs: Any) -> dict[str, np.ndarray]:
        """Inputs as arrays by name, of the dtypes that the model reads.

        Raises:
          BadInput: for inputs of another shape, dtype or range.
        """
        spec = self.description.inputs
        if not isinstance(inputs, Mapping):
            inputs = {INPUTS: inputs}
        if inputs.keys() != spec.arrays.keys():
            raise BadInput(f"inputs must be {few(sorted(spec.arrays), 12)}, not {sorted(inputs)}")
        arrays = {n: convert(n, inputs[n], own, spec.kind) for n, own in spec.arrays.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        if len({*counts.values()}) > 1 or 0 in counts.values():
            raise BadInput(f"inputs must have as many examples each, at least 1, not {counts}")
        return arrays


def convert(name: str, values: Any, spec: ArraySpec, kind: InputKind) -> np.ndarray:
    """An array of the shape and dtype that a model reads.

    Raises:
      BadInput: if its values would change.
    """
    array, wanted, is_image = np.asarray(values), np.dtype(spec.dtype), kind == "image"
    if array.shape[1:] != spec.shape or array.ndim == 0:
        raise BadInput(f"{name} must be {spec}, not {array.dtype} {list(array.shape)}")
    if is_image and array.dtype == np.uint8 and wanted == np.float32:
        return array.astype(np.float32) / np.float32(255.0)
    kinds = {"f": "f", "i": "iu", "u": "u"}[wanted.kind]
    if array.dtype.kind not in kinds or (wanted == np.uint8 and array.dtype != wanted):
        raise BadInput(f"{name} must be {spec}, not {array.dtype} {list(array.shape)}")
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput(f"{name} must be finite")
    if is_image and wanted == np.float32 and not 0 <= low <= high <= 1:
        raise BadInput(f"{name} must lie in [0, 1], or be uint8")
    if kind == "tokens" and low < 0:
        raise BadInput(f"{name} must be tokens of at least 0, not {low}")
    return array.astype(wanted)


def load(folder: str | os.PathLike) -> ExportedModel:
    """Loads an exported model.

    Needs JAX, NumPy and safetensors, and neither Flax nor the data or code of its training.

    Args:
      folder: the folder that `python launch.py experiments/x.py --export RUN --out DIR` wrote.

    Returns:
      The model: `model(inputs)` gives the outputs and `model.predict(inputs)` the answers of every
      task.

    Raises:
      BadInput: if it is no such folder, or is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = pathlib.Path(folder).expanduser()
    description = read_description(folder)
    try:
        variables = load_file(folder / WEIGHTS)
        module = (folder / MODULE).read_bytes()
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{folder} must hold {MODULE} and {WEIGHTS}, whole: {error}") from None
    exported = from_module(module, description, variables)
    return ExportedModel(folder, description, jax.device_put(variables), exported)
