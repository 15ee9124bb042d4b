"""Reads a run's data, draws its labels by seed, and refuses what does not fit."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.checks import BadInput, require
from mtl_jax.data import few_labels, held_out
from mtl_jax.host.tokens import check_tokens
from mtl_jax.protocols import BilevelWeighting, Source, Splits
from mtl_jax.run import Run, Task
from mtl_jax.task import asks_teacher
from mtl_jax.train import Given, Known, Stream, Taught


class Prepared(NamedTuple):
    """Host arrays of a run."""

    given: Given
    splits: dict[str, Any]  # what is judged: validation and test, each by stream


def described(run: Run) -> Given:
    """Shapes and types of what a run trains on; no data is read.

    Where all labels are taken, each example counts as labelled.

    Raises:
      BadInput: if a task's label is missing from the data, more labels are asked for than
        there are examples, or streams have images of different shapes.
    """
    streams = streams_of(run, "train", run.data.shapes())
    images = {name: arrays["image"].shape[1:] for name, arrays in streams.items()}
    rule = "must have images of one shape in all streams"
    require(len(set(images.values())) == 1, run, "data", rule, images)

    def drawn_of(count, names):
        mask = dict.fromkeys(names, jax.ShapeDtypeStruct((run.seeds, count), bool))
        return Known(jax.ShapeDtypeStruct((run.seeds, count), np.int32), mask)

    def stream(name, arrays):
        total = arrays["image"].shape[0]
        known = run.data.known() if hasattr(run.data, "known") else total
        asked = labelled_in(run, name)
        where = f" of {name!r}" if name else ""
        rule = f"must be at most {known}, the training examples{where} there are"
        owner = run if asked == run.labelled else "Input"
        require(asked is None or asked <= known, owner, "labelled", rule, asked)
        labels = labels_of(arrays)
        count = known if asked is None else asked
        out = held_of(run, count)
        held = drawn_of(out, labels) if out else None
        stored = stored_shapes(run, labels, total)
        own = drawn_of(count - out, labels)
        return Stream(arrays["image"], labels, own, held, stored, arrays.get("pool"))

    return Given({name: stream(name, arrays) for name, arrays in streams.items()}, None)


def stored_shapes(run: Run, names: Iterable[str], total: int) -> dict[str, Taught]:
    """Shapes of what teachers will say of a stream's images."""
    sizes = {task.name: task.outputs for task in run.tasks if asks_teacher(task) is not None}
    float32 = np.float32
    return {
        name: Taught(
            jax.ShapeDtypeStruct((run.seeds, total, sizes[name]), float32),
            jax.ShapeDtypeStruct((run.seeds, total), float32),
        )
        for name in names
        if name in sizes
    }


@functools.lru_cache(maxsize=4)
def load(source: Source) -> Splits:
    """Reads a source once, however many runs use it."""
    found = source.load()
    require(isinstance(found, Splits), source, "load", "must give mtl_jax.protocols.Splits", found)
    return found


def prepare(run: Run) -> Prepared:
    """Reads the data of a run and draws which examples have labels, for every seed.

    Raises:
      BadInput: if a task's label is missing from the data or out of range, or if there are
        fewer labels than asked for.
    """
    parts = {part: streams_of(run, part, a) for part, a in load(run.data)._asdict().items()}
    for part, streams in parts.items():
        for task in run.tasks:
            check_labels(run, task, part, next(a for a in streams.values() if task.name in a))
    check_tokens(run, parts)
    train = parts.pop("train")
    return Prepared(
        Given({name: drawn(run, name, arrays) for name, arrays in train.items()}, None), parts
    )


def streams_of(run: Run, part: str, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By stream, the images and the labels of a run's tasks in a part of the data.

    Data of one input, whose part has "image" itself, is one stream named "".

    Raises:
      BadInput: if a task's label is missing, or is in several streams.
    """
    streams = {"": arrays} if "image" in arrays else arrays
    nested = all(isinstance(each, Mapping) and "image" in each for each in streams.values())
    rule = f'must have "image" in its {part} part, or streams that have'
    require(nested, run, "data", rule, sorted(arrays))
    for task in run.tasks:
        there = [name for name, each in streams.items() if task.name in each]
        if not there:
            labels = {name for each in streams.values() for name in each} - {"image"}
            raise BadInput(
                f"run {run.name!r}: task {task.name!r} has no label in the {part} data "
                f"(labels there: {', '.join(sorted(labels)) or 'none'})"
            )
        require(len(there) == 1, run, "data", f"must have {task.name!r} in one stream", there)
    kept = {
        name: {
            "image": each["image"],
            **({"pool": each["pool"]} if "pool" in each else {}),
            **{t.name: each[t.name] for t in run.tasks if t.name in each},
        }
        for name, each in streams.items()
    }
    return {name: each for name, each in kept.items() if labels_of(each)}


def labels_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The labels among the arrays of a stream."""
    return {name: array for name, array in arrays.items() if name not in ("image", "pool")}


def labelled_in(run: Run, stream: str) -> int | None:
    """How many examples of a stream have labels; None is all of them."""
    return getattr(run.data, "labelled_by_task", {}).get(stream, run.labelled)


def drawn(run: Run, name: str, arrays: dict[str, np.ndarray]) -> Stream:
    """A stream with the examples that have labels, and those held out, for every seed."""
    labels = labels_of(arrays)

    def of(seed):
        index, mask = few_labels(labels, labelled_in(run, name), run.partial, seed)
        count = held_of(run, len(index))
        out = held_out({name: labels[name][index] for name in labels}, mask, count, seed)
        known, held = (
            Known(index[rows], {name: each[rows] for name, each in mask.items()})
            for rows in (~out, out)
        )
        return known, held if count else None

    try:
        seeds = [of(seed) for seed in range(run.first_seed, run.first_seed + run.seeds)]
    except BadInput as wrong:
        raise BadInput(f"run {run.name!r}: {wrong}") from None
    known, held = jax.tree.map(lambda *each: np.stack(each), *seeds)
    return Stream(arrays["image"], labels, known, held, {}, arrays.get("pool"))


def held_of(run: Run, count: int) -> int:
    """How many of `count` labelled examples are held out for a bilevel method's weights."""
    if not isinstance(run.balance, BilevelWeighting):
        return 0
    out = max(1, round(run.balance.held_out * count))
    require(out < count, run, "labelled", f"must leave some beside {out} held out", count)
    return out


def check_labels(run: Run, task: Task, part: str, arrays) -> None:
    """Requires a task's classes within its outputs."""
    labels = arrays[task.name]
    if (
        np.issubdtype(labels.dtype, np.integer)
        and not -1 <= labels.min() <= labels.max() < task.outputs
    ):
        wrong = labels.max() if labels.max() >= task.outputs else labels.min()
        raise BadInput(
            f"run {run.name!r}: task {task.name!r} has outputs={task.outputs}, so classes must lie in 0..{task.outputs - 1} "
            f"(-1 where missing), but the {part} data has class {wrong}"
        )
