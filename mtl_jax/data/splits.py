"""Labelled sets stored in files, so that other programs can train on the same examples."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import lines_of, parse_json, read_text
from mtl_jax.data.labels import sample_labelled_subset


def write_splits(
    source: DataSource, task: str, labelled: int, seeds: Iterable[int], path: str | pathlib.Path
) -> None:
    """Writes the indices of the labelled training examples of a single-task run, for some seeds.

    The file is JSON, `{"task": name, "examples": N, "splits": {seed: {"index": [L in ascending
    order], "class": [L]}}}`, with indices into the source's training part. The classes allow a
    reader to verify that its examples are in the same order.

    Args:
      source: data source of the run.
      task: name of the task, whose labels are integer classes.
      labelled: number of labelled examples, L.
      seeds: seeds of the run.
      path: path of the file, which is overwritten.

    Raises:
      BadInput: if the task has no classes in the data, the file cannot be written, or as in
        `sample_labelled_subset`.

    Example:
      >>> from mtl_jax import data
      >>> source = data.Digits()
      >>> data.write_splits(source, "digit", 40, range(5), "digits.json")  # doctest: +SKIP
    """
    classes = classes_of(source.load().train, task)
    splits = {}
    for seed in seeds:
        index, _ = sample_labelled_subset({task: classes}, labelled, partial=False, seed=seed)
        splits[str(seed)] = {"index": index.tolist(), "class": classes[index].tolist()}
    content = {"task": task, "examples": len(classes), "splits": splits}
    file = expand_path(path)
    try:
        file.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error}") from error


def read_splits(
    path: str | pathlib.Path, train: Mapping[str, np.ndarray], task: str
) -> dict[int, np.ndarray]:
    """Reads labelled sets, written by `write_splits` or in the format of the STL-10 folds.

    STL-10's `fold_indices.txt` has one fold per line, as indices separated by spaces; they refer to
    the order of its own files, which TFDS does not preserve.

    Args:
      path: path of the file; plain text instead of JSON if its name ends in `.txt`.
      train: training part that the sets index, with the classes `[N]` of the task.
      task: name of the label.

    Returns:
      By seed, or by line number from 0, the indices in ascending order, int32 `[L]`.

    Raises:
      BadInput: naming the file, if it does not exist or is damaged, or does not match these
        examples: an index that is out of range, without a label or of another class, or another
        number of examples.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> train = {"digit": np.array([0, 1, 0, 1])}
      >>> data.read_splits("digits.json", train, "digit")  # doctest: +SKIP
      {0: array([0, 1], dtype=int32)}
    """
    classes, file = classes_of(train, task), expand_path(path)
    text = read_text(file)
    try:
        if file.suffix.lower() == ".txt":
            sets = parse_folds(text)
        else:
            sets = parse_sets(parse_json(str(file), text), len(classes), classes)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(f"{file} cannot be read as labelled sets: {error!r}") from error
    for seed, index in sets.items():
        valid = len(index) > 0 and index.min() >= 0 and index.max() < len(classes)
        if not valid or (classes[index] < 0).any() or len(set(index.tolist())) < len(index):
            raise BadInput(
                f"{file}, set {seed}, must be different indices below {len(classes)} of examples "
                f"with a label of {task!r}"
            )
    return {seed: np.sort(index) for seed, index in sets.items()}


def parse_folds(text: str) -> dict[int, np.ndarray]:
    """Labelled sets by line number."""
    lines = [line.split() for line in lines_of(text) if line.strip()]
    return {i: np.array(line, np.int32) for i, line in enumerate(lines)}


def parse_sets(content: Any, size: int, classes: np.ndarray) -> dict[int, np.ndarray]:
    """Labelled sets by seed, checked against the classes in the file."""
    if content["examples"] != size:
        raise ValueError(f"it is of {content['examples']} examples, these are {size}")
    sets = {}
    for seed, entry in content["splits"].items():
        if not all(type(index) is int for index in entry["index"]):
            raise ValueError(f"set {seed} has indices that are not integers")
        index = np.array(entry["index"], np.int32)
        if index.ndim != 1 or not np.array_equal(classes.take(index, mode="clip"), entry["class"]):
            raise ValueError(f"set {seed} has other classes: the examples are in another order")
        sets[int(seed)] = index
    return sets


def classes_of(train: Mapping[str, np.ndarray], task: str) -> np.ndarray:
    """Integer classes `[N]` of a training part."""
    valid = task in train and train[task].dtype.kind in "iu" and train[task].ndim == 1
    require(valid, "splits", "task", f"must name classes of the data ({sorted(train)})", task)
    return train[task]
