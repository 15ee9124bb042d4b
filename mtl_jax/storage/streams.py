"""Input streams of a run's data: images and labels of its tasks, and numbers of labels."""

from collections.abc import Mapping
from typing import Any

import jax

from mtl_jax.config.run import Run
from mtl_jax.core.balancing import weighs_outer
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.arrays import require_channels_last


def streams_of(run: Run, split: str, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Inputs and labels of a run's tasks in one split of the data, by stream.

    Single-input data, whose split contains "inputs" directly, is one stream named "".

    Raises:
      BadInput: if a task's label is missing, or is in several streams.
    """
    streams = {"": arrays} if "inputs" in arrays else arrays
    nested = all(isinstance(each, Mapping) and "inputs" in each for each in streams.values())
    rule = f'must have "inputs" in its {split} part, or streams that have'
    require(nested, run, "data", rule, sorted(arrays))
    for name, stream in streams.items():
        where = f"run {run.name!r}: inputs{f' of {name!r}' if name else ''} in the {split} data"
        for leaf in jax.tree.leaves(stream["inputs"]):
            require_channels_last(where, leaf.shape)
    for task in run.tasks:
        require_labels(run, task.name, split, streams)
    names = ["inputs", *(task.name for task in run.tasks)]
    selected = {
        name: {key: stream[key] for key in names if key in stream}
        for name, stream in streams.items()
    }
    return {name: stream for name, stream in selected.items() if labels_of(stream)}


def require_labels(
    run: Run, task: str, split: str, streams: Mapping[str, Mapping[str, Any]]
) -> None:
    """Requires the labels of a task in exactly one stream, one for each of its inputs."""
    names = [name for name, stream in streams.items() if task in stream]
    if not names:
        labels = {name for stream in streams.values() for name in stream} - {"inputs"}
        raise BadInput(
            f"run {run.name!r}: task {task!r} has no label in the {split} data "
            f"(labels there: {', '.join(sorted(labels)) or 'none'})"
        )
    require(len(names) == 1, run, "data", f"must have {task!r} in one stream", names)
    stream = streams[names[0]]
    sizes = (stream[task].shape[0], num_examples(stream["inputs"]))
    rule = f"must have as many {task!r} in the {split} part as inputs"
    require(sizes[0] == sizes[1], run, "data", rule, sizes)


def labels_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Label arrays of a stream."""
    return {name: array for name, array in arrays.items() if name != "inputs"}


def num_labelled_in(run: Run, stream: str) -> int | None:
    """Number of labelled examples of a stream; None means all."""
    return run.data.num_labelled_by_task.get(stream, run.labels.num_labelled)


def num_held_out(run: Run, count: int) -> int:
    """Number of the `count` labelled examples held out for the weights of a bilevel method."""
    if not weighs_outer(run.balance):
        return 0
    held_out = max(1, round(run.balance.held_out * count))
    rule = f"must leave some beside {held_out} held out"
    require(held_out < count, run, "labels.num_labelled", rule, count)
    return held_out
