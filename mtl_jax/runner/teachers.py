"""Teacher predictions for a run's unlabelled images, from finished runs on disk."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from mtl_jax.config.run import Run, teacher_by_task
from mtl_jax.config.task import teacher_view
from mtl_jax.core.tree import Tree
from mtl_jax.core.views import Parameters
from mtl_jax.runner.predict import predict_all_seeds
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import TeacherPredictions, TrainData, predict_chunked


def with_teacher_predictions(
    run: Run, data: TrainData, folders: Mapping[str, RunDirectory]
) -> TrainData:
    """Adds the predictions of a run's teachers to its training data.

    Args:
      run: the student run.
      data: the training data of the run.
      folders: the folders of its finished teachers, by name.

    Raises:
      BadInput: if a teacher's checkpoint is missing or damaged.
    """
    streams = dict(data.streams)
    for task in run.tasks:
        view = teacher_view(task)
        if view is None:
            continue
        teacher = teacher_by_task(run)[task.name, task.num_outputs]
        name = next(name for name, stream in streams.items() if task.name in stream.labels)
        stream = streams[name]
        folder = folders[teacher.name]
        is_per_seed = seed_axis(run) == 0
        inputs = [
            jax.tree.map(lambda leaf, s=seed: leaf[s], stream.inputs)
            if is_per_seed
            else stream.inputs
            for seed in range(run.num_seeds)
        ]
        logits = outputs_of(teacher, folder, view.params, task.name, inputs)
        pool = np.arange(logits.shape[1]) if stream.pool is None else np.asarray(stream.pool)
        pools = pool if is_per_seed and stream.pool is not None else [pool] * run.num_seeds
        weights = np.zeros(logits.shape[:2], np.float32)
        for seed, index in enumerate(pools):
            weights[seed, index] = class_balance_weights(logits[seed, index], view.per_class)
        predictions = TeacherPredictions(logits, weights)
        streams[name] = stream._replace(teacher={**stream.teacher, task.name: predictions})
    return data._replace(streams=streams)


def outputs_of(
    teacher: Run,
    folder: RunDirectory,
    parameters: Parameters,
    task: str,
    inputs: Sequence[Tree],
) -> np.ndarray:
    """Outputs `[S, N, ..., C]` of every seed of a teacher for a task, on the inputs of that seed.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    models = load_trained_params(teacher, folder, parameters, task, "other runs learn from it")
    outputs = predict_all_seeds(teacher, models, inputs, predict_chunked)
    return outputs[task].astype(np.float32)


def class_balance_weights(logits: np.ndarray, per_class: int | None) -> np.ndarray:
    """Weights `[N]` of images, balancing the classes that a teacher predicts from `[N, C]`."""
    if per_class is None:
        return np.ones(len(logits), np.float32)
    predicted, weights = logits.argmax(-1), np.zeros(len(logits), np.float32)
    shifted = logits - logits.max(-1, keepdims=True)
    confidence = -np.log(np.exp(shifted).sum(-1))  # Log of the largest probability.
    for label in np.unique(predicted):
        index = np.flatnonzero(predicted == label)
        selected = index[np.argsort(-confidence[index], kind="stable")[:per_class]]
        weights[selected] = per_class / len(selected)
    return weights
