"""Loads and validates the data of a run, and samples its labelled subset for each seed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import teacher_view
from mtl_jax.core.data_source import Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data import held_out, sample_labelled_subset
from mtl_jax.data.arrays import require_channels_last
from mtl_jax.storage.class_name_checks import check_names
from mtl_jax.storage.label_warnings import label_notes, selection_notes
from mtl_jax.storage.loading import load_row, seed_axis, seeds_of
from mtl_jax.storage.targets import check_parts, described_target, target
from mtl_jax.storage.vocabulary_checks import check_tokens
from mtl_jax.train import LabelledSubset, Stream, TeacherPredictions, TrainData


class RunData(NamedTuple):
    """Host arrays of a run."""

    given: TrainData
    splits: dict[str, Any]  # evaluation data: validation and test, each by stream
    notes: tuple[str, ...]  # warnings, a line each


def abstract_data(run: Run) -> TrainData:
    """Shapes and dtypes of the training data of a run, without loading it.

    If all labels are used, each example counts as labelled.

    Raises:
      BadInput: if a task's label is missing from the data, more labels are requested than there
        are examples, or streams have images of different shapes.
    """
    streams = streams_of(run, "train", run.data.shapes())
    for task in run.tasks:
        arrays = next(each for each in streams.values() if task.name in each)
        arrays[task.name] = described_target(run, task, "train", arrays[task.name])
    pools = run.data.pools()
    images = {name: arrays["image"].shape[1:] for name, arrays in streams.items()}
    rule = "must have images of one shape in all streams"
    require(len(set(images.values())) == 1, run, "data", rule, images)

    def drawn_of(count, names):
        mask = dict.fromkeys(names, jax.ShapeDtypeStruct((run.num_seeds, count), bool))
        return LabelledSubset(jax.ShapeDtypeStruct((run.num_seeds, count), np.int32), mask)

    def own(shape):
        lead = (run.num_seeds,) if seed_axis(run) == 0 else ()
        return jax.ShapeDtypeStruct((*lead, *shape.shape), shape.dtype)

    def stream(name, arrays):
        total = arrays["image"].shape[0]
        known = total if name else run.data.num_labelled()
        asked = num_labelled_in(run, name)
        where = f" of {name!r}" if name else ""
        rule = f"must be at most {known}, the training examples{where} there are"
        owner = (
            (run, "labels.num_labelled")
            if asked == run.labels.num_labelled
            else ("Input", "labelled")
        )
        require(asked is None or asked <= known, *owner, rule, asked)
        labels = labels_of(arrays)
        count = known if asked is None else asked
        out = num_held_out(run, count)
        held = drawn_of(out, labels) if out else None
        stored = stored_shapes(run, labels, total)
        trained = drawn_of(count - out, labels)
        pool = pools.get(name)
        pool = None if pool is None else own(jax.ShapeDtypeStruct(pool.shape, np.int32))
        return Stream(own(arrays["image"]), jax.tree.map(own, labels), trained, held, stored, pool)

    return TrainData({name: stream(name, arrays) for name, arrays in streams.items()}, None)


def stored_shapes(run: Run, names: Iterable[str], total: int) -> dict[str, TeacherPredictions]:
    """Shapes of the teachers' predictions on a stream's images."""
    sizes = {task.name: task.num_outputs for task in run.tasks if teacher_view(task) is not None}
    float32 = np.float32
    return {
        name: TeacherPredictions(
            jax.ShapeDtypeStruct((run.num_seeds, total, sizes[name]), float32),
            jax.ShapeDtypeStruct((run.num_seeds, total), float32),
        )
        for name in names
        if name in sizes
    }


def single_seed(run: Run, given: TrainData) -> TrainData:
    """Shapes of the training data of one seed, from those of `abstract_data`."""

    def one(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape[1:], shape.dtype)

    shared = given.in_axes(seed_axis(run), None)
    return jax.tree.map(
        lambda axis, part: part if axis is None else jax.tree.map(one, part),
        shared, given, is_leaf=lambda leaf: leaf is None or isinstance(leaf, int),
    )  # fmt: skip


def load_run_data(run: Run) -> RunData:
    """Loads the data of a run and samples its labelled examples for every seed.

    If each seed has separate data, arrays have a leading axis S.

    Raises:
      BadInput: if a task's label is missing from the data or is not a valid target of its loss,
        if there are fewer labels than requested, or as in `check_names`.
    """
    check_names(run)
    seeds, data = seeds_of(run), load_row(run)
    each = [(one,) for one in seeds] if seed_axis(run) == 0 else [seeds]
    found = [prepared(run, splits, own) for splits, own in zip(data, each, strict=True)]
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    if seed_axis(run) is None:
        return found[0]
    sizes = {tuple(np.shape(leaf) for leaf in jax.tree.leaves(one[:2])) for one in found}
    require(len(sizes) == 1, run, "data", "must be of the same shapes for every seed", run.data)

    def joined(path, *leaves):
        # Sampled subsets already have a seed axis.
        drawn = any(getattr(entry, "name", None) in ("labelled", "held_out") for entry in path)
        return np.concatenate(leaves) if drawn else np.stack(leaves)

    given, splits = jax.tree_util.tree_map_with_path(joined, *(one[:2] for one in found))
    return RunData(given, splits, notes)


def prepared(run: Run, data: Splits, seeds: tuple[int, ...]) -> RunData:
    """Data of a run for seeds that share the same `Splits`."""
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
    train, pools = parts.pop("train"), run.data.pools()
    streams = {
        name: draw_labelled_subset(run, name, a, pools.get(name), seeds)
        for name, a in train.items()
    }
    notes = [
        note
        for stream in streams.values()
        for name in stream.labels
        for note in label_notes(run, name, labels[name], stream.labelled, seeds)
    ]
    notes += selection_notes(run, parts["validation"])
    return RunData(TrainData(streams, None), parts, tuple(notes))


def streams_of(run: Run, part: str, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Images and labels of a run's tasks in one split of the data, by stream.

    Single-input data, whose split contains "image" directly, is one stream named "".

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
    """Label arrays of a stream."""
    return {name: array for name, array in arrays.items() if name != "image"}


def num_labelled_in(run: Run, stream: str) -> int | None:
    """Number of labelled examples of a stream; None means all."""
    return run.data.num_labelled_by_task.get(stream, run.labels.num_labelled)


def draw_labelled_subset(
    run: Run,
    name: str,
    arrays: dict[str, np.ndarray],
    pool: np.ndarray | None,
    seeds: tuple[int, ...],
) -> Stream:
    """A stream with its labelled and held-out examples, sampled for each seed."""
    labels = labels_of(arrays)
    last = len(arrays["image"]) - 1
    fine = pool is None or (len(pool) > 0 and pool.min() >= 0 and pool.max() <= last)
    require(fine, run, "data", f"must have pools of places from 0 to {last}", pool)

    def of(seed):
        index, mask = sample_labelled_subset(
            labels, num_labelled_in(run, name), run.labels.partial, seed
        )
        count = num_held_out(run, len(index))
        out = held_out({name: labels[name][index] for name in labels}, mask, count, seed)
        known, held = (
            LabelledSubset(index[rows], {name: each[rows] for name, each in mask.items()})
            for rows in (~out, out)
        )
        return known, held if count else None

    try:
        found = [of(seed) for seed in seeds]
    except BadInput as wrong:
        raise BadInput(f"run {run.name!r}: {wrong}") from None
    known, held = jax.tree.map(lambda *each: np.stack(each), *found)
    return Stream(arrays["image"], labels, known, held, {}, pool)


def num_held_out(run: Run, count: int) -> int:
    """Number of the `count` labelled examples held out for the weights of a bilevel method."""
    if run.balance.access != "heldout_losses":
        return 0
    out = max(1, round(run.balance.held_out * count))
    require(
        out < count, run, "labels.num_labelled", f"must leave some beside {out} held out", count
    )
    return out
