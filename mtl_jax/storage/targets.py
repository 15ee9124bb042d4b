"""Conversion of labels to the targets of a task's loss, with validation."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import target_type

LARGEST = 1e18  # Its square, and sums of many such squares, are below the float32 maximum, 3.4e38.
FINEST = 1e-2  # Largest float32 spacing, relative to the standard deviation, that is accepted.
MARKS = (255, -100, -1)  # Values used by other programs for missing labels.


def described_target(run: Run, task: Task, part: str, told: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the converted labels: the abstract counterpart of `target`.

    Raises:
      BadInput: if the shape or dtype of the labels is invalid for the task's loss.
    """
    fault = kind_fault(task, told.shape, told.dtype)
    if fault is not None:
        raise BadInput(f"run {run.name!r}: task {task.name!r}: {part} labels {fault}")
    shape, dtype = told.shape, told.dtype
    kind = target_type(task.loss, task.num_outputs)
    if kind == "binary":
        shape = shape[:1]
    if kind in ("binary", "multilabel", "continuous"):
        dtype = np.float32
    elif dtype.kind != "f":
        dtype = np.int32
    return jax.ShapeDtypeStruct(shape, dtype)


def target(run: Run, task: Task, part: str, values: np.ndarray) -> np.ndarray:
    """Converts the labels of one split of the data to targets of the task's loss.

    Integers and bools become int32, or, if the loss requires floats, float32 with NaN instead of
    -1; floats become float32 for the losses of this package. A column `[N, 1]` for a single
    logistic output becomes `[N]`.

    Raises:
      BadInput: naming run, task, split and what to pass instead, if the labels are invalid for
        the task's loss.
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
    """Error message, to follow "labels", if the shape or dtype of labels is invalid."""
    dtype, kind = np.dtype(dtype), target_type(task.loss, task.num_outputs)
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
    return checks[kind](shape, dtype, size, task.num_outputs) if kind in checks else None


def classes_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape or dtype for `cross_entropy`."""
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
    """Error message if labels have the wrong shape for one logistic output."""
    return None if shape[1:] in ((), (1,)) else f"are {size}; one output takes [N] of 0 and 1"


def multilabel_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape for several logistic outputs."""
    if shape[1:] == (outputs,):
        return None
    classes = "these are classes; " if len(shape) == 1 and dtype.kind != "f" else ""
    other = ", or take the loss cross_entropy for one of several classes" if classes else ""
    return f"are {size}: {classes}num_outputs={outputs} take [N, {outputs}] of 0 and 1{other}"


def numbers_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape or dtype for `squared_error`."""
    if dtype.kind != "f":
        # Integer -1 would mean missing, not the value -1.
        return (
            f"are {dtype}: these are classes; give floats, as labels.astype('float32'), NaN where "
            "one is missing"
        )
    if shape[1:] == (outputs,) or (outputs == 1 and len(shape) == 1):
        return None
    return f"are {size}; num_outputs={outputs} takes [N{'' if outputs == 1 else f', {outputs}'}]"


def value_fault(task: Task, part: str, values: np.ndarray) -> str | None:
    """Error message, to follow the task, if values of labels are invalid; None if valid."""
    kind = target_type(task.loss, task.num_outputs)
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
    return range_fault(part, values, task.num_outputs)


def range_fault(part: str, values: np.ndarray, outputs: int) -> str | None:
    """Error message if classes are outside the range of the outputs."""
    low, high = int(values.min()), int(values.max())
    if low >= -1 and high < outputs:
        return None
    wrong = high if high >= outputs else low
    from_one = wrong == outputs and values[values >= 0].min() == 1
    hint = "; they seem to begin at 1: give labels - 1" if from_one else mark_hint(wrong)
    return (
        f" has num_outputs={outputs}, so classes must lie in 0..{outputs - 1} "
        f"(-1 where missing), but the {part} data has class {wrong}{hint}"
    )


def truth_fault(part: str, values: np.ndarray, single: bool) -> str | None:
    """Error message if integer labels of logistic outputs are not 0, 1, or -1 for missing."""
    wrong = values[(values.astype(np.int64) < -1) | (values > 1)]
    if len(wrong) == 0:
        return None
    other = ", or take the loss cross_entropy" if single else ""
    return (
        f": {part} labels have {wrong[0]}: these are classes; give floats in [0, 1], or 0 and 1 "
        f"(-1 where missing){other}{mark_hint(int(wrong[0]))}"
    )


def share_fault(part: str, known: np.ndarray) -> str | None:
    """Error message if float labels of logistic outputs are not in [0, 1]."""
    wrong = known[(known < 0) | (known > 1)]
    if len(wrong) == 0:
        return None
    signs = np.isin(known, (-1, 1)).all()
    hint = "; give (labels + 1) / 2 of -1 and +1" if signs else mark_hint(float(wrong[0]), "NaN")
    return f": {part} labels must lie in [0, 1] (NaN where missing), not {wrong[0]:g}{hint}"


def scale_fault(part: str, values: np.ndarray) -> str | None:
    """Error message if float32 cannot distinguish continuous targets or represent their squares."""
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
    """Hint if a value looks like another program's marker of a missing label."""
    return f"; if {wrong:g} means missing, write {mark}" if wrong in MARKS else ""


def check_parts(run: Run, task: Task, parts: Mapping[str, np.ndarray]) -> None:
    """Requires at least one training label, and that -1 marks missing labels rather than a class.

    Args:
      run: the run.
      task: the task of the labels.
      parts: the original labels of each split of the data.

    Raises:
      BadInput: if all training labels are missing; or if the classes are -1 and +1, or -1 to
        C - 2.
    """
    said = f"run {run.name!r}: task {task.name!r}"
    train = parts["train"]
    if not (train >= 0 if train.dtype.kind != "f" else ~np.isnan(train)).any():
        raise BadInput(f"{said}: all of its labels in the train data are missing (-1 or NaN)")
    if any(values.dtype.kind == "f" for values in parts.values()):
        return
    seen = set().union(*(np.unique(values).tolist() for values in parts.values()))
    kind = target_type(task.loss, task.num_outputs)
    if kind is None or -1 not in seen:
        return
    classes = task.num_outputs if kind == "multiclass" else 2
    if seen == {-1, 1}:
        raise BadInput(
            f"{said}: labels are -1 and 1, but -1 means missing; give 0 and 1 for two classes"
        )
    if classes > 1 and seen == set(range(-1, classes - 1)):
        fewer = f", or take num_outputs={classes - 1} if these are all" if classes > 2 else ""
        raise BadInput(
            f"{said}: labels go from -1 to {classes - 2}, but -1 means missing; give labels + 1"
            f"{fewer}"
        )
