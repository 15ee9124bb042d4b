"""Labels as a task's loss takes them: what is no target of its type is refused by name."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run, Task
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import target_type

LARGEST = 1e18  # Its square, and sums of many such, are below the largest float32, 3.4e38.
FINEST = 1e-2  # Of the standard deviation: steps of float32 that are larger lose what numbers say.
MARKS = (255, -100, -1)  # What other programs write where a label is missing.


def described_target(run: Run, task: Task, part: str, told: Any) -> jax.ShapeDtypeStruct:
    """Shape and type of labels as the loss takes them, of those in the data, `target` of shapes.

    Raises:
      BadInput: if labels of this shape or type are no targets of the task's loss.
    """
    fault = kind_fault(task, told.shape, told.dtype)
    if fault is not None:
        raise BadInput(f"run {run.name!r}: task {task.name!r}: {part} labels {fault}")
    shape, dtype = told.shape, told.dtype
    kind = target_type(task.loss, task.outputs)
    if kind == "binary":
        shape = shape[:1]
    if kind in ("binary", "multilabel", "continuous"):
        dtype = np.float32
    elif dtype.kind != "f":
        dtype = np.int32
    return jax.ShapeDtypeStruct(shape, dtype)


def target(run: Run, task: Task, part: str, values: np.ndarray) -> np.ndarray:
    """Labels of a part of the data as the loss takes them.

    Integers and truth values become int32, or where the loss takes numbers float32 with NaN in
    the place of -1; other numbers of the losses of this package float32. One column `[N, 1]` of
    a single logistic output becomes `[N]`.

    Raises:
      BadInput: naming run, task, part and what to give instead, if they are no targets of the
        task's loss.
    """
    told = described_target(run, task, part, values)
    fault = value_fault(task, part, values)
    if fault is not None:
        raise BadInput(f"run {run.name!r}: task {task.name!r}{fault}")
    found = values.reshape(told.shape).astype(told.dtype)
    if values.dtype.kind in "biu" and told.dtype == np.float32:
        found[values.reshape(told.shape).astype(np.int64) < 0] = np.nan
    return found


def kind_fault(task: Task, shape: tuple[int, ...], dtype: np.dtype) -> str | None:
    """What is wrong with the shape or the type of labels, to be read after "labels"."""
    dtype, kind = np.dtype(dtype), target_type(task.loss, task.outputs)
    size = f"[N{''.join(f', {n}' for n in shape[1:])}]"
    if dtype.kind not in "biuf":
        return (
            f"must be numbers, not {dtype}; give classes as integers, as in "
            "numpy.unique(labels, return_inverse=True)[1]"
        )
    checks = {
        "multiclass": classes_fault,
        "binary": binary_fault,
        "multilabel": multilabel_fault,
        "continuous": numbers_fault,
    }
    return checks[kind](shape, dtype, size, task.outputs) if kind in checks else None


def classes_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """What is wrong with labels for `cross_entropy`."""
    whole = f"integers [N] from 0 to {outputs - 1}, -1 where one is missing"
    if shape[1:] == (outputs,) and outputs > 1:
        what = "these are floats" if dtype.kind == "f" else "these are one-hot or several classes"
        return f"are {size}: {what}; give {whole}, as labels.argmax(1) of one-hot ones"
    if dtype.kind == "f":
        return f"are {dtype}: these are floats; give {whole}"
    if shape[1:] == (1,):
        return f"are a column {size}; give {whole}, as labels[:, 0]"
    return None if len(shape) == 1 else f"are {size}; give {whole}"


def binary_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """What is wrong with labels for one logistic output."""
    return None if shape[1:] in ((), (1,)) else f"are {size}; one output takes [N] of 0 and 1"


def multilabel_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """What is wrong with labels for several logistic outputs."""
    if shape[1:] == (outputs,):
        return None
    classes = "these are classes; " if len(shape) == 1 and dtype.kind != "f" else ""
    other = ", or take the loss cross_entropy for one of several classes" if classes else ""
    return f"are {size}: {classes}outputs={outputs} take [N, {outputs}] of 0 and 1{other}"


def numbers_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """What is wrong with labels for `squared_error`."""
    if dtype.kind != "f":
        # -1 would be missing, and not one degree below zero.
        return (
            f"are {dtype}: these are classes; give floats, as labels.astype('float32'), NaN where "
            "one is missing"
        )
    if shape[1:] == (outputs,) or (outputs == 1 and len(shape) == 1):
        return None
    return f"are {size}; outputs={outputs} takes [N{'' if outputs == 1 else f', {outputs}'}]"


def value_fault(task: Task, part: str, values: np.ndarray) -> str | None:
    """What is wrong with the values of labels, to be read after the task; None if nothing is."""
    kind = target_type(task.loss, task.outputs)
    if values.size == 0:
        return None
    if values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        if np.isinf(known).any():
            return f": {part} labels must be finite, not {known[np.isinf(known)][0]}"
        if kind in ("binary", "multilabel"):
            return share_fault(part, known)
        return scale_fault(part, values) if kind == "continuous" else None
    if kind in ("binary", "multilabel"):
        return truth_fault(part, values, kind == "binary")
    return range_fault(part, values, task.outputs)


def range_fault(part: str, values: np.ndarray, outputs: int) -> str | None:
    """What is wrong with classes that are not all within the outputs."""
    low, high = int(values.min()), int(values.max())
    if low >= -1 and high < outputs:
        return None
    wrong = high if high >= outputs else low
    from_one = wrong == outputs and values[values >= 0].min() == 1
    hint = "; they seem to begin at 1: give labels - 1" if from_one else mark_hint(wrong)
    return (
        f" has outputs={outputs}, so classes must lie in 0..{outputs - 1} "
        f"(-1 where missing), but the {part} data has class {wrong}{hint}"
    )


def truth_fault(part: str, values: np.ndarray, single: bool) -> str | None:
    """What is wrong with integers for logistic outputs that are not 0, 1, or -1 where missing."""
    wrong = values[(values.astype(np.int64) < -1) | (values > 1)]
    if len(wrong) == 0:
        return None
    other = ", or take the loss cross_entropy" if single else ""
    return (
        f": {part} labels have {wrong[0]}: these are classes; give floats in [0, 1], or 0 and 1 "
        f"(-1 where missing){other}{mark_hint(int(wrong[0]))}"
    )


def share_fault(part: str, known: np.ndarray) -> str | None:
    """What is wrong with numbers for logistic outputs that are not in [0, 1]."""
    wrong = known[(known < 0) | (known > 1)]
    if len(wrong) == 0:
        return None
    signs = np.isin(known, (-1, 1)).all()
    hint = "; give (labels + 1) / 2 of -1 and +1" if signs else mark_hint(float(wrong[0]), "NaN")
    return f": {part} labels must lie in [0, 1] (NaN where missing), not {wrong[0]:g}{hint}"


def scale_fault(part: str, values: np.ndarray) -> str | None:
    """What is wrong with numbers that float32 does not keep apart, or whose squares it has not."""
    for column in values.reshape(len(values), -1).T:
        known = column[~np.isnan(column)].astype(np.float64)
        largest, spread = np.abs(known).max(initial=0.0), known.std() if known.size else 0.0
        if largest > LARGEST:
            return (
                f": {part} labels reach {largest:g}, whose square is too large for float32; give "
                "them in a larger unit"
            )
        if np.spacing(np.float32(largest)) > FINEST * spread > 0:
            return (
                f": {part} labels lie at {known.mean():g} with a standard deviation of {spread:g}, "
                "which float32 does not keep apart; take their mean off"
            )
    return None


def mark_hint(wrong: float, mark: str = "-1") -> str:
    """What to write in the place of another program's mark of a missing label."""
    return f"; if {wrong:g} means missing, write {mark}" if wrong in MARKS else ""


def check_parts(run: Run, task: Task, parts: Mapping[str, np.ndarray]) -> None:
    """Requires labels to train on, and that -1 is no class but a missing label.

    Args:
      run: what is trained.
      task: whose labels these are.
      parts: of each part of the data, as they were given.

    Raises:
      BadInput: if all labels of train are missing; or if the classes are -1 and +1, or -1 up to
        C - 2.
    """
    said = f"run {run.name!r}: task {task.name!r}"
    train = parts["train"]
    if not (train >= 0 if train.dtype.kind != "f" else ~np.isnan(train)).any():
        raise BadInput(f"{said}: all of its labels in the train data are missing (-1 or NaN)")
    if any(values.dtype.kind == "f" for values in parts.values()):
        return
    seen = set().union(*(np.unique(values).tolist() for values in parts.values()))
    kind = target_type(task.loss, task.outputs)
    if kind is None or -1 not in seen:
        return
    classes = task.outputs if kind == "multiclass" else 2
    if seen == {-1, 1}:
        raise BadInput(
            f"{said}: labels are -1 and 1, but -1 means missing; give 0 and 1 for two classes"
        )
    if classes > 1 and seen == set(range(-1, classes - 1)):
        fewer = f", or take outputs={classes - 1} if these are all" if classes > 2 else ""
        raise BadInput(
            f"{said}: labels go from -1 to {classes - 2}, but -1 means missing; give labels + 1"
            f"{fewer}"
        )
