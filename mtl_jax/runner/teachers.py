"""What teachers say of a run's unlabelled images, from what is left of them on disk."""

from collections.abc import Sequence

import numpy as np

from mtl_jax.config.run import Run, taught
from mtl_jax.config.task import asks_teacher
from mtl_jax.core.views import Parameters
from mtl_jax.runner.predict import asked_of
from mtl_jax.storage.loading import seed_axis
from mtl_jax.storage.run_directory import Folder
from mtl_jax.train import Given, Taught, outputs_for


def with_teachers(run: Run, given: Given, folders: dict[str, Folder]) -> Given:
    """What a run trains on, with what its teachers say of it.

    Args:
      run: the one that learns.
      given: its data.
      folders: by name, of its teachers, which are finished.

    Raises:
      BadInput: if a teacher's checkpoint is missing or damaged.
    """
    streams = dict(given.streams)
    for task in run.tasks:
        view = asks_teacher(task)
        if view is None:
            continue
        teacher = taught(run)[task.name, task.outputs]
        name = next(name for name, stream in streams.items() if task.name in stream.labels)
        stream = streams[name]
        folder = folders[teacher.name]
        apart = seed_axis(run) == 0
        images = stream.image if apart else [stream.image] * run.seeds
        said = outputs_of(teacher, folder, view.by, task.name, images)
        everything = np.arange(said.shape[1])
        pool = everything if stream.pool is None else np.asarray(stream.pool)
        pools = pool if apart and stream.pool is not None else [pool] * run.seeds
        weights = np.zeros(said.shape[:2], np.float32)
        for place, rows in enumerate(pools):
            weights[place, rows] = weights_of(said[place, rows], view.per_class)
        stored = {**stream.stored, task.name: Taught(said, weights)}
        streams[name] = stream._replace(stored=stored)
    return given._replace(streams=streams)


def outputs_of(
    teacher: Run, folder: Folder, by: Parameters, task: str, images: Sequence[np.ndarray]
) -> np.ndarray:
    """Outputs `[S, N, C]` of every seed of a teacher for a task and images of that seed."""
    said = asked_of(teacher, folder, by, task, images, outputs_for, "other runs learn from it")
    return said[task].astype(np.float32)


def weights_of(logits: np.ndarray, per_class: int | None) -> np.ndarray:
    """How much each image counts, `[N]`, by the classes that a teacher guessed `[N, C]`."""
    if per_class is None:
        return np.ones(len(logits), np.float32)
    guess, weights = logits.argmax(-1), np.zeros(len(logits), np.float32)
    shifted = logits - logits.max(-1, keepdims=True)
    sure = -np.log(np.exp(shifted).sum(-1))  # Logarithm of the largest probability.
    for which in np.unique(guess):
        own = np.flatnonzero(guess == which)
        best = own[np.argsort(-sure[own], kind="stable")[:per_class]]
        weights[best] = per_class / len(best)
    return weights
