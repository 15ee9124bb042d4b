"""Teacher predictions for a run's unlabelled images, from finished runs on disk."""

from collections.abc import Sequence

import numpy as np

from mtl_jax.config.run import Run, teacher_by_task
from mtl_jax.config.task import teacher_view
from mtl_jax.core.views import Parameters
from mtl_jax.runner.predict import predict_all_seeds
from mtl_jax.storage.loading import seed_axis
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TeacherPredictions, TrainData, predict_chunked


def with_teacher_predictions(
    run: Run, given: TrainData, folders: dict[str, RunDirectory]
) -> TrainData:
    """Adds the predictions of a run's teachers to its training data.

    Args:
      run: the student run.
      given: the training data of the run.
      folders: the folders of its finished teachers, by name.

    Raises:
      BadInput: if a teacher's checkpoint is missing or damaged.
    """
    streams = dict(given.streams)
    for task in run.tasks:
        view = teacher_view(task)
        if view is None:
            continue
        teacher = teacher_by_task(run)[task.name, task.num_outputs]
        name = next(name for name, stream in streams.items() if task.name in stream.labels)
        stream = streams[name]
        folder = folders[teacher.name]
        apart = seed_axis(run) == 0
        images = stream.image if apart else [stream.image] * run.num_seeds
        said = outputs_of(teacher, folder, view.params, task.name, images)
        everything = np.arange(said.shape[1])
        pool = everything if stream.pool is None else np.asarray(stream.pool)
        pools = pool if apart and stream.pool is not None else [pool] * run.num_seeds
        weights = np.zeros(said.shape[:2], np.float32)
        for place, rows in enumerate(pools):
            weights[place, rows] = class_balance_weights(said[place, rows], view.per_class)
        stored = {**stream.teacher, task.name: TeacherPredictions(said, weights)}
        streams[name] = stream._replace(teacher=stored)
    return given._replace(streams=streams)


def outputs_of(
    teacher: Run, folder: RunDirectory, by: Parameters, task: str, images: Sequence[np.ndarray]
) -> np.ndarray:
    """Outputs `[S, N, C]` of every seed of a teacher for a task, on the images of that seed."""
    said = predict_all_seeds(
        teacher, folder, by, task, images, predict_chunked, "other runs learn from it"
    )
    return said[task].astype(np.float32)


def class_balance_weights(logits: np.ndarray, per_class: int | None) -> np.ndarray:
    """Weights `[N]` of images, balancing the classes that a teacher predicts from `[N, C]`."""
    if per_class is None:
        return np.ones(len(logits), np.float32)
    guess, weights = logits.argmax(-1), np.zeros(len(logits), np.float32)
    shifted = logits - logits.max(-1, keepdims=True)
    sure = -np.log(np.exp(shifted).sum(-1))  # Log of the largest probability.
    for which in np.unique(guess):
        own = np.flatnonzero(guess == which)
        best = own[np.argsort(-sure[own], kind="stable")[:per_class]]
        weights[best] = per_class / len(best)
    return weights
