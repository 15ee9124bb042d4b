"""Reads a run's data, draws its labels by seed, and refuses what does not fit."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import asks_teacher
from mtl_jax.core.protocols import BilevelWeighting, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data import few_labels, held_out
from mtl_jax.data.arrays import require_channels_last
from mtl_jax.storage.class_name_checks import check_names
from mtl_jax.storage.label_warnings import label_notes, selection_notes
from mtl_jax.storage.loading import read, seed_axis, seeds_of
from mtl_jax.storage.targets import check_parts, described_target, target
from mtl_jax.storage.vocabulary_checks import check_tokens
from mtl_jax.train import Given, Known, Stream, Taught


class Prepared(NamedTuple):
    """Host arrays of a run."""

    given: Given
    splits: dict[str, Any]  # what is judged: validation and test, each by stream
    notes: tuple[str, ...]  # what a reader of its numbers should know, a line each


def described(run: Run) -> Given:
    """Shapes and types of what a run trains on; no data is read.

    Where all labels are taken, each example counts as labelled.

    Raises:
      BadInput: if a task's label is missing from the data, more labels are asked for than
        there are examples, or streams have images of different shapes.
    """
    streams = streams_of(run, "train", run.data.shapes())
    for task in run.tasks:
        arrays = next(each for each in streams.values() if task.name in each)
        arrays[task.name] = described_target(run, task, "train", arrays[task.name])
    pools = pools_of(run)
    images = {name: arrays["image"].shape[1:] for name, arrays in streams.items()}
    rule = "must have images of one shape in all streams"
    require(len(set(images.values())) == 1, run, "data", rule, images)

    def drawn_of(count, names):
        mask = dict.fromkeys(names, jax.ShapeDtypeStruct((run.seeds, count), bool))
        return Known(jax.ShapeDtypeStruct((run.seeds, count), np.int32), mask)

    def own(shape):
        lead = (run.seeds,) if seed_axis(run) == 0 else ()
        return jax.ShapeDtypeStruct((*lead, *shape.shape), shape.dtype)

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
        trained = drawn_of(count - out, labels)
        pool = pools.get(name)
        pool = None if pool is None else own(jax.ShapeDtypeStruct(pool.shape, np.int32))
        return Stream(own(arrays["image"]), jax.tree.map(own, labels), trained, held, stored, pool)

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


def single_seed(run: Run, given: Given) -> Given:
    """Shapes of what one seed trains on, of those that `described` gives."""

    def one(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape[1:], shape.dtype)

    shared = given.each(seed_axis(run), None)
    return jax.tree.map(
        lambda axis, part: part if axis is None else jax.tree.map(one, part),
        shared, given, is_leaf=lambda leaf: leaf is None or isinstance(leaf, int),
    )  # fmt: skip


def prepare(run: Run) -> Prepared:
    """Reads the data of a run and draws which examples have labels, for every seed.

    Where each seed has data of its own, they have a leading axis S.

    Raises:
      BadInput: if a task's label is missing from the data or no target of its loss, if there are
        fewer labels than asked for, or as `check_names`.
    """
    check_names(run)
    seeds, data = seeds_of(run), read(run)
    each = [(one,) for one in seeds] if seed_axis(run) == 0 else [seeds]
    found = [prepared(run, splits, own) for splits, own in zip(data, each, strict=True)]
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    if seed_axis(run) is None:
        return found[0]
    sizes = {tuple(np.shape(leaf) for leaf in jax.tree.leaves(one[:2])) for one in found}
    require(len(sizes) == 1, run, "data", "must be of the same shapes for every seed", run.data)

    def joined(path, *leaves):
        # What was drawn has an axis of seeds already.
        drawn = any(getattr(entry, "name", None) in ("known", "held") for entry in path)
        return np.concatenate(leaves) if drawn else np.stack(leaves)

    given, splits = jax.tree_util.tree_map_with_path(joined, *(one[:2] for one in found))
    return Prepared(given, splits, notes)


def prepared(run: Run, data: Splits, seeds: tuple[int, ...]) -> Prepared:
    """What some seeds of a run have of the same data."""
    parts = {part: streams_of(run, part, arrays) for part, arrays in data._asdict().items()}
    labels = {}
    for task in run.tasks:
        own = {
            part: next(arrays for arrays in streams.values() if task.name in arrays)
            for part, streams in parts.items()
        }
        given = {part: arrays[task.name] for part, arrays in own.items()}
        labels[task.name] = {part: target(run, task, part, each) for part, each in given.items()}
        for part, arrays in own.items():
            arrays[task.name] = labels[task.name][part]
        check_parts(run, task, given)
    check_tokens(run, parts)
    train, pools = parts.pop("train"), pools_of(run)
    streams = {name: drawn(run, name, a, pools.get(name), seeds) for name, a in train.items()}
    notes = [
        note
        for stream in streams.values()
        for name in stream.labels
        for note in label_notes(run, name, labels[name], stream.known, seeds)
    ]
    notes += selection_notes(run, parts["validation"])
    return Prepared(Given(streams, None), parts, tuple(notes))


def pools_of(run: Run) -> dict[str, np.ndarray]:
    """By stream, which training images come without labels, where the data says so."""
    return run.data.pools() if hasattr(run.data, "pools") else {}


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
    for name, each in streams.items():
        where = f"run {run.name!r}: images{f' of {name!r}' if name else ''} in the {part} data"
        require_channels_last(where, each["image"].shape)
    for task in run.tasks:
        there = [name for name, each in streams.items() if task.name in each]
        if not there:
            labels = {name for each in streams.values() for name in each} - {"image"}
            raise BadInput(
                f"run {run.name!r}: task {task.name!r} has no label in the {part} data "
                f"(labels there: {', '.join(sorted(labels)) or 'none'})"
            )
        require(len(there) == 1, run, "data", f"must have {task.name!r} in one stream", there)
        each = streams[there[0]]
        rows = (each[task.name].shape[:1], each["image"].shape[:1])
        rule = f"must have as many {task.name!r} in the {part} part as images"
        require(rows[0] == rows[1], run, "data", rule, rows)
    kept = {
        name: {
            "image": each["image"],
            **{t.name: each[t.name] for t in run.tasks if t.name in each},
        }
        for name, each in streams.items()
    }
    return {name: each for name, each in kept.items() if labels_of(each)}


def labels_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The labels among the arrays of a stream."""
    return {name: array for name, array in arrays.items() if name != "image"}


def labelled_in(run: Run, stream: str) -> int | None:
    """How many examples of a stream have labels; None is all of them."""
    return getattr(run.data, "labelled_by_task", {}).get(stream, run.labelled)


def drawn(
    run: Run,
    name: str,
    arrays: dict[str, np.ndarray],
    pool: np.ndarray | None,
    seeds: tuple[int, ...],
) -> Stream:
    """A stream with the examples that have labels, and those held out, for some seeds."""
    labels = labels_of(arrays)
    last = len(arrays["image"]) - 1
    fine = pool is None or (len(pool) > 0 and pool.min() >= 0 and pool.max() <= last)
    require(fine, run, "data", f"must have pools of places from 0 to {last}", pool)

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
        found = [of(seed) for seed in seeds]
    except BadInput as wrong:
        raise BadInput(f"run {run.name!r}: {wrong}") from None
    known, held = jax.tree.map(lambda *each: np.stack(each), *found)
    return Stream(arrays["image"], labels, known, held, {}, pool)


def held_of(run: Run, count: int) -> int:
    """How many of `count` labelled examples are held out for a bilevel method's weights."""
    if not isinstance(run.balance, BilevelWeighting):
        return 0
    out = max(1, round(run.balance.held_out * count))
    require(out < count, run, "labelled", f"must leave some beside {out} held out", count)
    return out
