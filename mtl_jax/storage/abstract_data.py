"""Shapes and dtypes of a run's training data, without loading it."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import teacher_view
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import require
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.streams import labels_of, num_held_out, num_labelled_in, streams_of
from mtl_jax.storage.targets import abstract_target
from mtl_jax.train import (
    LabelledSubset,
    Stream,
    TeacherPredictions,
    TrainData,
    example_spec,
    output_positions,
)


def abstract_data(run: Run) -> TrainData:
    """Shapes and dtypes of the training data of a run, without loading it.

    If all labels are used, each example counts as labelled.

    Raises:
      BadInput: if a task's label is missing from the data, more labels are requested than there
        are examples, or streams have images of different shapes.
    """
    streams = streams_of(run, "train", run.data.shapes())
    for task in run.tasks:
        arrays = next(arrays for arrays in streams.values() if task.name in arrays)
        arrays[task.name] = abstract_target(run, task, "train", arrays[task.name])
    pools = run.data.pools()
    shapes = {
        name: str(jax.tree.map(lambda leaf: leaf.shape[1:], arrays["inputs"]))
        for name, arrays in streams.items()
    }
    rule = "must have inputs of one shape in all streams"
    require(len(set(shapes.values())) == 1, run, "data", rule, shapes)
    return TrainData(
        {name: abstract_stream(run, name, a, pools.get(name)) for name, a in streams.items()}, None
    )


def abstract_stream(
    run: Run, name: str, arrays: Mapping[str, Any], pool: np.ndarray | None
) -> Stream:
    """Shapes and dtypes of a stream."""
    labels, num_inputs = labels_of(arrays), num_examples(arrays["inputs"])
    count = num_labelled_examples(run, name, num_inputs)
    held_out = num_held_out(run, count)

    def by_seed(shape: tuple[int, ...], dtype: np.dtype | type) -> jax.ShapeDtypeStruct:
        seeds = (run.num_seeds,) if seed_axis(run) == 0 else ()
        return jax.ShapeDtypeStruct((*seeds, *shape), dtype)

    return Stream(
        inputs=jax.tree.map(lambda leaf: by_seed(leaf.shape, leaf.dtype), arrays["inputs"]),
        labels={task: by_seed(label.shape, label.dtype) for task, label in labels.items()},
        labelled=abstract_subset(run, labels, count - held_out),
        held_out=abstract_subset(run, labels, held_out) if held_out else None,
        teacher=abstract_predictions(run, labels, arrays["inputs"]),
        pool=None if pool is None else by_seed(pool.shape, np.int32),
    )


def num_labelled_examples(run: Run, stream: str, num_inputs: int) -> int:
    """Number of labelled examples of a stream, at most those that have labels."""
    available = num_inputs if stream else run.data.num_labelled()
    count = num_labelled_in(run, stream)
    where = f" of {stream!r}" if stream else ""
    rule = f"must be at most {available}, the training examples{where} there are"
    by_run = count == run.labels.num_labelled
    owner, field = (run, "labels.num_labelled") if by_run else ("Input", "labelled")
    require(count is None or count <= available, owner, field, rule, count)
    return available if count is None else count


def abstract_subset(run: Run, tasks: Iterable[str], count: int) -> LabelledSubset:
    """Shapes and dtypes of `count` examples that are sampled for each seed."""
    mask = dict.fromkeys(tasks, jax.ShapeDtypeStruct((run.num_seeds, count), bool))
    return LabelledSubset(jax.ShapeDtypeStruct((run.num_seeds, count), np.int32), mask)


def abstract_predictions(
    run: Run, tasks: Iterable[str], inputs: Any
) -> dict[str, TeacherPredictions]:
    """Shapes and dtypes of the teachers' predictions for a stream's inputs."""
    learners = [task for task in run.tasks if teacher_view(task) is not None]
    if not learners:
        return {}
    positions = output_positions(run, example_spec(inputs))
    sizes = {task.name: (*positions[task.name], task.num_outputs) for task in learners}
    shape = (run.num_seeds, num_examples(inputs))
    return {
        name: TeacherPredictions(
            outputs=jax.ShapeDtypeStruct((*shape, *sizes[name]), np.float32),
            weights=jax.ShapeDtypeStruct(shape, np.float32),
        )
        for name in tasks
        if name in sizes
    }


def single_seed(run: Run, data: TrainData) -> TrainData:
    """Shapes of the training data of one seed, from those of `abstract_data`."""

    def drop_seed_axis(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)

    axes = data.in_axes(seed_axis(run), None)
    return jax.tree.map(
        lambda axis, part: part if axis is None else jax.tree.map(drop_seed_axis, part),
        axes, data, is_leaf=lambda leaf: leaf is None or isinstance(leaf, int),
    )  # fmt: skip
