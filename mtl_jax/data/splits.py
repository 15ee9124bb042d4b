"""Labelled sets as files, so that other programs train on the same examples."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.core.protocols import Source
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.paths import path_of
from mtl_jax.data.files.text_files import lines_of, parse_json, read_text
from mtl_jax.data.labels import few_labels


def write_splits(
    source: Source, task: str, labelled: int, seeds: Iterable[int], path: str | pathlib.Path
) -> None:
    """Writes which training examples a run of one task has labels of, for some seeds.

    The file is JSON, `{"task": name, "examples": N, "splits": {seed: {"index": [L in rising
    order], "class": [L]}}}`, with places in the order of the source's training part. The classes
    let a reader see that its examples come in the same order.

    Args:
      source: the data of the run.
      task: its task, of whole-number classes.
      labelled: how many examples have labels, L.
      seeds: of the run.
      path: of the file, which is written anew.

    Raises:
      BadInput: if the task has no classes in the data, the file cannot be written, or as
        `few_labels`.
    """
    classes = classes_of(source.load().train, task)
    splits = {}
    for seed in seeds:
        index, _ = few_labels({task: classes}, labelled, partial=False, seed=seed)
        splits[str(seed)] = {"index": index.tolist(), "class": classes[index].tolist()}
    content = {"task": task, "examples": len(classes), "splits": splits}
    file = path_of(path)
    try:
        file.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error}") from error


def read_splits(
    path: str | pathlib.Path, train: Mapping[str, np.ndarray], task: str
) -> dict[int, np.ndarray]:
    """Reads labelled sets, of `write_splits` or as STL-10 has its folds.

    STL-10's `fold_indices.txt` has a fold in each line, as places between spaces; they are of
    the order of its own files, which TFDS does not keep.

    Args:
      path: of the file; text in place of JSON if its name ends in `.txt`.
      train: the training part that it is of, with the classes `[N]` of the task.
      task: name of the classes.

    Returns:
      By seed, or by the number of the line from 0, the examples in rising order, int32 `[L]`.

    Raises:
      BadInput: naming the file, if it is not there or damaged, or of other examples than these:
        places outside, of no label or of another class, or another number of examples.
    """
    classes, file = classes_of(train, task), path_of(path)
    text = read_text(file)
    try:
        if file.suffix.lower() == ".txt":
            found = folds(text)
        else:
            found = listed(parse_json(str(file), text), len(classes), classes)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(f"{file} cannot be read as labelled sets: {error!r}") from error
    for seed, index in found.items():
        inside = len(index) > 0 and index.min() >= 0 and index.max() < len(classes)
        if not inside or (classes[index] < 0).any() or len(set(index.tolist())) < len(index):
            raise BadInput(
                f"{file}, set {seed}, must be different places below {len(classes)} of examples "
                f"with a label of {task!r}"
            )
    return {seed: np.sort(index) for seed, index in found.items()}


def folds(text: str) -> dict[int, np.ndarray]:
    """Sets by the number of the line."""
    lines = [line.split() for line in lines_of(text) if line.strip()]
    return {at: np.array(line, np.int32) for at, line in enumerate(lines)}


def listed(content: Any, size: int, classes: np.ndarray) -> dict[int, np.ndarray]:
    """Sets by seed, whose examples have the classes that they had when they were written."""
    if content["examples"] != size:
        raise ValueError(f"it is of {content['examples']} examples, these are {size}")
    found = {}
    for seed, drawn in content["splits"].items():
        if not all(type(place) is int for place in drawn["index"]):
            raise ValueError(f"set {seed} has places that are no whole numbers")
        index = np.array(drawn["index"], np.int32)
        if index.ndim != 1 or not np.array_equal(classes.take(index, mode="clip"), drawn["class"]):
            raise ValueError(f"set {seed} has other classes: the examples are in another order")
        found[int(seed)] = index
    return found


def classes_of(train: Mapping[str, np.ndarray], task: str) -> np.ndarray:
    """Whole-number classes `[N]` of a training part."""
    fine = task in train and train[task].dtype.kind in "iu" and train[task].ndim == 1
    require(fine, "splits", "task", f"must name classes of the data ({sorted(train)})", task)
    return train[task]
