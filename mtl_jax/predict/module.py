"""Exported functions on disk: the module of `jax.export`, and the signature to call it.

`jax.export.Exported.serialize` needs the package flatbuffers, which JAX does not install. The file
therefore holds only the module, StableHLO in its portable form; the signature is in
`preprocessing.json` and the weights.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from mtl_jax.predict.description import ArraySpec, Description

PLATFORMS = ("cpu", "cuda", "tpu")
BATCH = "batch"  # Name of the symbolic number of examples.

Arrays = Mapping[str, Any]
Function = Callable[[Arrays, Arrays], dict[str, jax.Array]]


def export_function(
    function: Function, variables: Arrays, inputs: Mapping[str, ArraySpec]
) -> jax.export.Exported:
    """Exports a function of variables and inputs, for all platforms and batch sizes.

    Args:
      function: `(variables, inputs) -> outputs`, each a dict of arrays.
      variables: arrays by name, or their shapes and dtypes.
      inputs: what it reads, by name.
    """
    (batch,) = jax.export.symbolic_shape(BATCH)
    shapes = {n: jax.ShapeDtypeStruct(v.shape, v.dtype) for n, v in variables.items()}
    examples = {n: jax.ShapeDtypeStruct((batch, *s.shape), s.dtype) for n, s in inputs.items()}
    # Kept, so that the module's parameters are all arguments in the order of their names.
    jitted = jax.jit(function, keep_unused=True)
    return jax.export.export(jitted, platforms=PLATFORMS)(shapes, examples)


def from_module(module: bytes, description: Description, variables: Arrays) -> jax.export.Exported:
    """The exported function of a module.

    Its signature is that of a function of the same arguments and results that returns zeros, which
    is exported here, in the running version of JAX.
    """

    def zeros(_, inputs):
        count = next(iter(inputs.values())).shape[0]
        return {n: jnp.zeros((count, *s.shape), s.dtype) for n, s in description.outputs.items()}

    exported = export_function(zeros, variables, description.inputs.arrays)
    return dataclasses.replace(
        exported,
        mlir_module_serialized=module,
        calling_convention_version=description.calling_convention,
    )
