"""Loads and validates the data of a run, and samples its labelled subset for each seed."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.task import Task
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import ConvertedRows, Rows
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data import PerSeed, held_out, sample_labelled_subset
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.class_name_checks import check_names
from mtl_jax.storage.data_location import data_location, has_rows
from mtl_jax.storage.label_warnings import in_memory, label_notes, selection_notes
from mtl_jax.storage.seeds import seed_axis, seeds_of, separate_seeds
from mtl_jax.storage.streams import labels_of, num_held_out, num_labelled_in, streams_of
from mtl_jax.storage.targets import abstract_target, check_splits, to_target
from mtl_jax.storage.vocabulary_checks import check_tokens
from mtl_jax.train import LabelledSubset, Stream, TrainData


class RunData(NamedTuple):
    """Host arrays of a run."""

    train: TrainData
    splits: dict[str, Any]  # Evaluation data: validation and test, each by stream.
    notes: tuple[str, ...]  # Warnings, a line each.


@functools.lru_cache(maxsize=4)
def load(
    source: DataSource, seeds: tuple[int, ...] = (), on_disk: bool = False
) -> tuple[Splits, ...]:
    """Loads a data source, cached across runs: one `Splits`, or one for each seed of `PerSeed`.

    Args:
      source: the data source.
      seeds: the seeds of `PerSeed`.
      on_disk: whether examples stay on disk until they are needed, if the source can do that.

    Raises:
      BadInput: if the source returns something else.
    """
    by_seed = isinstance(source, PerSeed) and seeds
    sources = [source.for_seed(seed) for seed in seeds] if by_seed else [source]
    loaded = tuple(each.open_splits() if on_disk else each.load() for each in sources)
    rule = "must give mtl_jax.core.data_source.Splits"
    for splits in loaded:
        require(isinstance(splits, Splits), source, "load", rule, splits)
    return loaded


def load_row(row: Run | SklearnBaseline) -> tuple[Splits, ...]:
    """The data of a run or a baseline: one `Splits` for all seeds, or one per seed."""
    return load(row.data, separate_seeds(row), is_on_disk(row))


def is_on_disk(row: Run | SklearnBaseline) -> bool:
    """Whether the examples of a row stay on disk until they are needed."""
    if not isinstance(row, Run) or not row.data.has_random_access:
        return False
    return data_location(row, abstract_data(row)) == "disk"


def load_run_data(run: Run) -> RunData:
    """Loads the data of a run and samples its labelled examples for every seed.

    Inputs and labels of a run on disk are `Rows` if its source has random access. If each seed has
    separate data, arrays have a leading axis S.

    Raises:
      BadInput: if a task's label is missing from the data or is not a valid target of its loss,
        if there are fewer labels than requested, or as in `check_names`.
    """
    check_names(run)
    seeds, data = seeds_of(run), load_row(run)
    if seed_axis(run) is None:
        return prepare(run, data[0], seeds)
    by_seed = [prepare(run, splits, (seed,)) for splits, seed in zip(data, seeds, strict=True)]
    arrays = [(loaded.train, loaded.splits) for loaded in by_seed]
    notes = tuple(dict.fromkeys(note for loaded in by_seed for note in loaded.notes))
    shapes = {tuple(np.shape(leaf) for leaf in jax.tree.leaves(a)) for a in arrays}
    require(len(shapes) == 1, run, "data", "must be of the same shapes for every seed", run.data)

    def stack_seeds(path: tuple[Any, ...], *leaves: np.ndarray) -> np.ndarray:
        fields = {entry.name for entry in path if isinstance(entry, jax.tree_util.GetAttrKey)}
        # Sampled subsets already have a seed axis.
        return np.concatenate(leaves) if fields & {"labelled", "held_out"} else np.stack(leaves)

    stacked = jax.tree_util.tree_map_with_path(stack_seeds, *arrays)
    return RunData(*stacked, notes)


def prepare(run: Run, data: Splits, seeds: tuple[int, ...]) -> RunData:
    """Data of a run for seeds that share the same `Splits`."""
    splits = {split: streams_of(run, split, arrays) for split, arrays in data._asdict().items()}
    targets = convert_labels(run, splits)
    check_tokens(run, splits)
    train, pools = splits.pop("train"), run.data.pools()
    streams = {
        name: sample_stream(run, name, arrays, pools.get(name), seeds)
        for name, arrays in train.items()
    }
    notes = [
        note
        for stream in streams.values()
        for name in stream.labels
        for note in label_notes(run, name, in_memory(targets[name]), stream.labelled, seeds)
    ]
    notes += selection_notes(run, splits["validation"])
    return RunData(TrainData(streams, None), splits, tuple(notes))


def convert_labels(
    run: Run, splits: Mapping[str, Mapping[str, dict[str, Any]]]
) -> dict[str, dict[str, np.ndarray | Rows]]:
    """Replaces labels in the splits by targets of the losses; also by task and split."""
    targets = {}
    for task in run.tasks:
        streams = {
            split: next(arrays for arrays in streams.values() if task.name in arrays)
            for split, streams in splits.items()
        }
        labels = {split: arrays[task.name] for split, arrays in streams.items()}
        targets[task.name] = {
            split: convert(run, task, split, values) for split, values in labels.items()
        }
        for split, arrays in streams.items():
            arrays[task.name] = targets[task.name][split]
        if not has_rows(labels):
            check_splits(run, task, labels)
    return targets


def convert(run: Run, task: Task, split: str, values: np.ndarray | Rows) -> np.ndarray | Rows:
    """Labels as targets of the loss; those on disk are converted and checked as they are read."""
    if not isinstance(values, Rows):
        return to_target(run, task, split, values)
    target = abstract_target(run, task, split, values)
    to_targets = functools.partial(to_target, run, task, split, are_all=False)
    return ConvertedRows(values, to_targets, target.shape, target.dtype)


def sample_stream(
    run: Run,
    name: str,
    arrays: Mapping[str, np.ndarray],
    pool: np.ndarray | None,
    seeds: tuple[int, ...],
) -> Stream:
    """A stream with its labelled and held-out examples, sampled for each seed."""
    labels = labels_of(arrays)
    last = num_examples(arrays["inputs"]) - 1
    valid = pool is None or (len(pool) > 0 and pool.min() >= 0 and pool.max() <= last)
    require(valid, run, "data", f"must have pools of places from 0 to {last}", pool)
    try:
        subsets = [sample_subsets(run, name, in_memory(labels), seed) for seed in seeds]
    except BadInput as error:
        raise BadInput(f"run {run.name!r}: {error}") from None
    labelled, held = jax.tree.map(lambda *leaves: np.stack(leaves), *subsets)
    return Stream(arrays["inputs"], labels, labelled, held, {}, pool)


def sample_subsets(
    run: Run, stream: str, labels: Mapping[str, np.ndarray], seed: int
) -> tuple[LabelledSubset, LabelledSubset | None]:
    """The labelled and the held-out examples of one seed; None if none is held out."""
    index, mask = sample_labelled_subset(
        labels, num_labelled_in(run, stream), run.labels.partial, seed
    )
    count = num_held_out(run, len(index))
    is_held_out = held_out({name: labels[name][index] for name in labels}, mask, count, seed)
    labelled, held = (
        LabelledSubset(index[rows], {name: known[rows] for name, known in mask.items()})
        for rows in (~is_held_out, is_held_out)
    )
    return labelled, held if count else None
