"""A trained model as a function of flat dicts of arrays, which is exported."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.config.task import Task
from mtl_jax.core.model import Model
from mtl_jax.core.schema import BATCH_STATS, PARAMS
from mtl_jax.core.tree import Tree, leaves_by_path
from mtl_jax.core.validation import BadInput
from mtl_jax.export.trained_model import TrainedModel
from mtl_jax.losses.target_type import without_options
from mtl_jax.metrics import MeanAveragePrecision, decode_centers
from mtl_jax.metrics.center_boxes import find_centers
from mtl_jax.predict.description import INPUTS, ArraySpec
from mtl_jax.train.views import as_float


def flat_variables(trained: TrainedModel) -> dict[str, np.ndarray]:
    """Parameters and statistics by path, `params/shared/...` and `batch_stats/...`."""
    tree = {PARAMS: trained.params, BATCH_STATS: trained.batch_stats}
    return {path: np.asarray(leaf, order="C") for path, leaf in leaves_by_path(tree).items()}


def flat_inputs(inputs: Tree) -> dict[str, Any]:
    """Inputs by name: those of a dict, possibly nested, or the only one as "inputs"."""
    return flatten_dict(inputs, sep="/") if isinstance(inputs, Mapping) else {INPUTS: inputs}


def flat_outputs(logits: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Outputs by `task`, or `task/name` where they are a dict.

    Raises:
      BadInput: for another tree.
    """
    flat = {}
    for task, outputs in logits.items():
        named = outputs if isinstance(outputs, Mapping) else {"": outputs}
        for name, array in named.items():
            if not isinstance(array, jax.Array | np.ndarray):
                rule = "must be an array or a dict of arrays to be exported"
                raise BadInput(f"outputs of task {task!r} {rule}, not {type(array).__name__}")
            flat[f"{task}/{name}" if name else task] = array
    return flat


def box_decoder(task: Task) -> Callable[[Any], dict[str, jax.Array]] | None:
    """The function that maps a task's outputs to boxes, if it detects them by centers."""
    for metric in task.metrics:
        decode = metric.decode if isinstance(metric, MeanAveragePrecision) else None
        settings = decode.keywords if isinstance(decode, functools.partial) else {}
        if decode is not None and without_options(decode) is decode_centers:
            return functools.partial(find_centers, **settings)
    return None


def flat_function(
    trained: TrainedModel, tasks: Sequence[Task], inputs: Tree
) -> Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, jax.Array]]:
    """The outputs of a model as a function `(variables, inputs)` of arrays by name.

    A task that detects boxes has them among its outputs.

    Args:
      trained: the model, whose trees the variables have.
      tasks: its tasks.
      inputs: inputs of the structure that the model reads.
    """
    tree = {PARAMS: trained.params, BATCH_STATS: trained.batch_stats}
    paths, treedef = list(leaves_by_path(tree)), jax.tree.structure(tree)
    nested, model = isinstance(inputs, Mapping), trained.model
    decoders = {task.name: decode for task in tasks if (decode := box_decoder(task)) is not None}

    def function(variables, inputs):
        own = treedef.unflatten(variables[path] for path in paths)
        x = unflatten_dict(inputs, sep="/") if nested else inputs[INPUTS]
        outputs = apply(model, own[PARAMS], own[BATCH_STATS], x)
        boxes = {
            name: {**outputs[name], **decode(outputs[name])} for name, decode in decoders.items()
        }
        return flat_outputs({**outputs, **boxes})

    return function


def apply(model: Model, params: Tree, stats: Tree, inputs: Tree) -> dict[str, Any]:
    """Outputs by task for inputs as the data has them, in evaluation."""
    return model.apply(params, stats, as_float(inputs), train=False)[0].logits


def array_spec(array: Any) -> ArraySpec:
    """Shape and dtype of an example of an array `[N, ...]`."""
    return ArraySpec(tuple(int(size) for size in array.shape[1:]), str(np.dtype(array.dtype)))
