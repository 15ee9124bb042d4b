"""Samples the training examples whose labels a run hides, to report the quality of pseudo-labels."""

from typing import Literal

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.base_views import BASE_VIEWS
from mtl_jax.core.views import SeparatePass
from mtl_jax.data import has_label
from mtl_jax.data.random_split import generator
from mtl_jax.losses.target_type import target_type
from mtl_jax.storage.label_warnings import in_memory
from mtl_jax.storage.seeds import seed_axis, seeds_of
from mtl_jax.train import HiddenLabels, Stream, TrainData

MAX_EXAMPLES = 1000
UNLABELLED = tuple(name for name in BASE_VIEWS if not name.startswith("labelled"))


def sample_hidden_labels(run: Run, data: TrainData) -> dict[str, dict[str, HiddenLabels]]:
    """A sample of up to 1,000 examples of each stream, for the evaluations of a run.

    They are drawn for each seed from the examples that are its unlabelled ones, and have a label
    in the data that the seed does not train on (`Labels.num_labelled`, `Labels.partial`); what has
    no label in the data is unknown. The sample is the same at every evaluation.

    Args:
      run: the run.
      data: its training data, on the host.

    Returns:
      By model ("raw" or "ema", see `pseudo_labelled_by`) and stream, arrays `[S, n]`; without
      models and streams that have nothing to compare.
    """
    found: dict[str, dict[str, HiddenLabels]] = {}
    for kind in ("raw", "ema"):
        names = [task.name for task in run.tasks if pseudo_labelled_by(task) == kind]
        for name, stream in data.streams.items():
            own = [task for task in names if task in stream.labels]
            hidden = sample_stream(run, stream, own) if own else None
            if hidden is not None:
                found.setdefault(kind, {})[name] = hidden
    return found


def pseudo_labelled_by(task: Task) -> Literal["raw", "ema"] | None:
    """Which parameters predict a task's unlabelled examples.

    The averaged ones if its auxiliary loss passes unlabelled examples through the teacher, else
    the raw ones; None for a task without classes or unlabelled examples.
    """
    has_classes = target_type(task.loss, task.num_outputs) in ("multiclass", "binary")
    if task.auxiliary is None or not has_classes or not task.asks_for(UNLABELLED):
        return None
    by_teacher = any(
        isinstance(view, SeparatePass)
        and view.model == "teacher"
        and any(name in UNLABELLED for name in view.views)
        for view in task.auxiliary.views
    )
    return "ema" if by_teacher else "raw"


def sample_stream(run: Run, stream: Stream, tasks: list[str]) -> HiddenLabels | None:
    """The examples of a stream, arrays `[S, n]`; None if no label is hidden."""
    by_seed = []
    for place, seed in enumerate(seeds_of(run)):
        hidden = {task: hidden_labels(run, stream, task, place) for task in tasks}
        size = len(hidden[tasks[0]])
        pool = stream.pool if stream.pool is None or seed_axis(run) is None else stream.pool[place]
        rows = generator(seed, "hidden_labels").permutation(size if pool is None else pool)
        first = np.argsort(~np.any(list(hidden.values()), axis=0)[rows], kind="stable")
        index = rows[first[:MAX_EXAMPLES]].astype(np.int32)
        by_seed.append((index, {task: mask[index] for task, mask in hidden.items()}))
    index = np.stack([index for index, _ in by_seed])
    masks = {task: np.stack([mask[task] for _, mask in by_seed]) for task in tasks}
    used = np.any(list(masks.values()), axis=(0, 1))
    if not used.any():
        return None
    return HiddenLabels(index[:, used], {task: mask[:, used] for task, mask in masks.items()})


def hidden_labels(run: Run, stream: Stream, task: str, place: int) -> np.ndarray:
    """Mask `[N]` of the labels of a task that are known, and that a seed does not train on."""
    labels = in_memory({task: stream.labels[task]})[task]
    hidden = np.array(has_label(labels if seed_axis(run) is None else labels[place]))
    for subset in (stream.labelled, stream.held_out):
        if subset is not None:
            hidden[subset.index[place][subset.mask[task][place]]] = False
    return hidden
