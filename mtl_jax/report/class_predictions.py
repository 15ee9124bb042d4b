"""Class probabilities and features of test examples, by the trained parameters of runs."""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import possible_types, target_type
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import SELECTED, load_first_seed
from mtl_jax.train import build_model, features_and_logits

MAX_RUNS = 6
MAX_LABELS = 2_000_000  # Of a task, such as those of pixels.
MAX_EXAMPLES = 10_000
MAX_NUMBERS = 50_000_000  # In inputs.


class ClassPredictions(NamedTuple):
    """Predictions of a run's task on N labelled examples, by the first seed's parameters."""

    run: Run
    task: Task
    inputs: Any  # [N, ...]
    labels: np.ndarray  # [N, *P], integers; missing ones of P are negative
    probabilities: np.ndarray  # [N, *P, Z]
    features: np.ndarray  # [N, D]


def predict_classes(
    experiment: Experiment, folders: Mapping[str, RunDirectory]
) -> list[ClassPredictions]:
    """Predictions of the first 6 runs with classes and parameters.

    They are on up to 10,000 evenly spaced test examples. Of maps, sequences or large inputs there are fewer, with at most 2,000,000 labels of a task and
    50,000,000 numbers of inputs.

    Raises:
      BadInput: if trained parameters are damaged.
    """
    runs = [run for run in experiment.runs if any(has_classes(task) for task in run.tasks)]
    runs = [run for run in runs if is_complete(run, folders[run.name])][:MAX_RUNS]
    return [each for run in runs for each in predict_run(run, folders[run.name])]


def has_classes(task: Task) -> bool:
    """Whether a task's outputs may be logits of classes."""
    types = possible_types(task.loss, task.num_outputs)
    return "multiclass" in types or types == ("binary",)


def is_complete(run: Run, folder: RunDirectory) -> bool:
    """Whether a finished run's data and trained parameters are there; results may lack them."""
    try:
        run.data.shapes()
    except BadInput:
        return False
    return (folder.path / SELECTED).is_dir()


def predict_run(run: Run, folder: RunDirectory, split: str = "test") -> list[ClassPredictions]:
    """Predictions of a run on a split of its data, for each task with classes and finite outputs."""
    streams = load_run_data(run).splits[split].values()
    if seed_axis(run) == 0:
        streams = [jax.tree.map(lambda leaf: leaf[0], arrays) for arrays in streams]
    apply = jax.jit(functools.partial(features_and_logits, build_model(run)))
    found = []
    for arrays in streams:
        outputs = {}  # Of this stream, by parameters and examples.
        for task in (task for task in run.tasks if task.name in arrays and has_classes(task)):
            labels = arrays[task.name]
            index = labelled_sample(labels, arrays["inputs"])
            own = task.name if run.evaluation.selection == "per_task" else ""
            key = (own, index.tobytes())
            if key not in outputs:
                why = "its predictions are drawn"
                params, stats = load_first_seed(run, folder, task.name, why)
                inputs = jax.tree.map(lambda leaf, i=index: jnp.asarray(leaf[i]), arrays["inputs"])
                outputs[key] = inputs, *jax.device_get(apply(params, stats, inputs))
            inputs, features, logits = outputs[key]
            classes = as_classes(np.asarray(labels[index]), logits[task.name])
            if classes is not None and np.isfinite(logits[task.name]).all():
                probabilities = probabilities_of(task, logits[task.name])
                vectors = features[task.name]
                found.append(ClassPredictions(run, task, inputs, classes, probabilities, vectors))
    return found


def labelled_sample(labels: np.ndarray | Rows, inputs: Any) -> np.ndarray:
    """Indices `[N]` of evenly spaced examples with a label, in ascending order.

    Args:
      labels: `[M, *P]`; those on disk count as known.
      inputs: a tree of arrays or `Rows`, `[M, ...]`.
    """
    if isinstance(labels, Rows):
        labelled = np.arange(len(labels))
    else:
        known = labels >= 0 if np.issubdtype(labels.dtype, np.integer) else np.isfinite(labels)
        labelled = np.flatnonzero(known.reshape(len(labels), -1).any(1))
    sizes = [
        sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(inputs)),
        math.prod(labels.shape[1:]),
    ]
    limits = [most // size for most, size in zip((MAX_NUMBERS, MAX_LABELS), sizes, strict=True)]
    count = min(max(1, min(limits)), MAX_EXAMPLES, len(labelled))
    return labelled[np.linspace(0, len(labelled) - 1, count).round().astype(int)]


def as_classes(labels: np.ndarray, logits: Any) -> np.ndarray | None:
    """Labels as classes `[N, *P]`, negative where missing; None if logits are of something else."""
    if not isinstance(logits, np.ndarray) or logits.ndim < 2:
        return None
    if labels.shape == logits.shape and logits.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != logits.shape[:-1]:
        return None
    if logits.shape[-1] > 1 and not np.issubdtype(labels.dtype, np.integer):
        return None
    classes = np.where(np.isfinite(labels), labels, -1.0).astype(int)
    return np.where(classes < max(2, logits.shape[-1]), classes, -1)


def probabilities_of(task: Task, outputs: np.ndarray) -> np.ndarray:
    """Class probabilities `[..., Z]`; Z is 2 for one logistic output, 0 for regression."""
    target = target_type(task.loss, task.num_outputs)
    if target in ("multilabel", "continuous"):
        return outputs[..., :0]
    if target == "binary":
        outputs = np.concatenate([np.zeros_like(outputs), outputs], -1)
    return np.asarray(jax.nn.softmax(outputs))
