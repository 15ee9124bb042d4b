"""Writes answers as a table, and those of dense tasks as arrays beside it."""

import csv
import pathlib
from collections.abc import Iterable
from typing import Any, TextIO

import jax
import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.predict.answers import Answer
from mtl_jax.predict.description import TaskSpec
from mtl_jax.predict.exported_model import ExportedModel
from mtl_jax.predict.input_files import Batch

PROBABILITY = "probability"


def write_predictions(model: ExportedModel, batches: Iterable[Batch], out: pathlib.Path) -> int:
    """Predicts batches and writes a CSV file with a row for each input; returns their number.

    Columns are `input`, and for every task `TASK`, the class or number, and `TASK probability`, that
    of the class. Several numbers are `TASK 0`, ...; a multilabel task has `TASK LABEL probability`
    for each label. Of dense tasks, of boxes and of outputs that are not decoded, cells hold paths
    of arrays, relative to the file: maps `[*P]` of classes and of probabilities, or `[*P, D]`.

    Raises:
      BadInput: if the file cannot be written, or from the inputs.
    """
    if out.suffix.lower() != ".csv":
        raise BadInput(f"--out must end in .csv, not {out}")
    partial = out.with_name(f"{out.name}.half")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = open(partial, "w", encoding="utf-8", newline="")  # noqa: SIM115, closed below.
    except OSError as error:
        raise BadInput(f"--out must be writable: {out}: {error.strerror}") from None
    try:
        with file:
            count = write_rows(model, batches, file, out.with_suffix(""))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return count


def write_rows(
    model: ExportedModel, batches: Iterable[Batch], file: TextIO, folder: pathlib.Path
) -> int:
    """Writes the rows of all batches, and arrays to a folder; returns the number of rows."""
    count, writer = 0, None
    for batch in batches:
        found = model.predict(batch.inputs)
        for place, name in enumerate(batch.names):
            row, count = {"input": name}, count + 1
            for task in model.description.tasks:
                own = example(found[task.name], place)
                row |= cells(task, own, folder / f"{count:06d}.{task.name}")
            writer = writer or header(file, list(row))
            writer.writerow(row)
    return count


def header(file: TextIO, names: list[str]) -> csv.DictWriter:
    """A writer that has written the names of the columns."""
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    return writer


def example(answer: Answer, place: int) -> Answer:
    """The answer to one of the inputs."""
    return jax.tree.map(lambda array: array[place], answer)


def cells(task: TaskSpec, answer: Answer, path: pathlib.Path) -> dict[str, Any]:
    """The cells of a task's answer to one input; its arrays are written to `path` with a suffix."""
    name, values, probabilities = task.name, answer.values, answer.probabilities
    if values is None or isinstance(values, dict):
        return {name: save(path, answer.outputs if values is None else values)}
    if values.ndim > (task.kind in ("multilabel", "continuous")):
        return dense_cells(task, values, probabilities, path)
    if probabilities is None:
        single = len(values) == 1
        return {name if single else f"{name} {i}": float(v) for i, v in enumerate(values)}
    if task.kind == "multilabel":
        pairs = enumerate(probabilities)
        return {f"{name} {class_name(task, i)} {PROBABILITY}": float(p) for i, p in pairs}
    return {
        name: class_name(task, int(values)),
        f"{name} {PROBABILITY}": float(probabilities[int(values)]),
    }


def dense_cells(
    task: TaskSpec, values: np.ndarray, probabilities: np.ndarray | None, path: pathlib.Path
) -> dict[str, Any]:
    """The cells of a dense answer: paths of its values and probabilities."""
    if task.kind == "continuous" or probabilities is None:
        return {task.name: save(path, values)}
    column, path_of = f"{task.name} {PROBABILITY}", path.with_name(f"{path.name}.{PROBABILITY}")
    if task.kind == "multilabel":
        return {column: save(path_of, probabilities)}
    chosen = np.take_along_axis(probabilities, values[..., None], -1)[..., 0]
    return {task.name: save(path, values.astype(np.int32)), column: save(path_of, chosen)}


def class_name(task: TaskSpec, index: int) -> str:
    """The name of a class or label, its index if it has none."""
    return str(index) if task.classes is None else task.classes[index]


def save(path: pathlib.Path, arrays: Any) -> str:
    """Saves an array as `.npy`, or a dict as `.npz`; returns the path for the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(arrays, dict):
        file = path.with_name(f"{path.name}.npz")
        np.savez(file, **arrays)
    else:
        file = path.with_name(f"{path.name}.npy")
        np.save(file, arrays)
    return f"{file.parent.name}/{file.name}"
