"""Exported models by hand, without any training code."""

import json

import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from mtl_jax.predict import ArraySpec, Description, InputSpec, TaskSpec, load
from mtl_jax.predict.description import DESCRIPTION, MODULE, WEIGHTS, to_json
from mtl_jax.predict.module import export_function

IMAGE = InputSpec("image", {"inputs": ArraySpec((2, 2, 1), "float32")})
SHADE = TaskSpec("shade", "multiclass", ("dark", "bright"))


def shade(variables, inputs):
    """Logits `(b, sum)` of images."""
    total = inputs["inputs"].astype(jnp.float32).sum((1, 2, 3))
    return {"shade": jnp.stack([variables["b"] + 0.0 * total, total], -1)}


def export(folder, function=shade, inputs=IMAGE, tasks=(SHADE,), outputs=None):
    """Writes a model with a variable b = 2; returns it loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {"b": np.array(2.0, np.float32)}
    exported = export_function(function, variables, inputs.arrays)
    outputs = outputs or {"shade": ArraySpec((2,), "float32")}
    description = Description(
        "run", inputs, tasks, outputs, exported.calling_convention_version, "0"
    )
    save_file(variables, folder / WEIGHTS)
    (folder / MODULE).write_bytes(exported.mlir_module_serialized)
    (folder / DESCRIPTION).write_text(json.dumps(to_json(description)))
    return load(folder)
