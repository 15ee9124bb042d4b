"""Conversion of labels to the targets of a task's loss, with validation."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.target_types import TargetType
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import target_type

MAX_MAGNITUDE = (
    1e18  # Its square, and sums of many such squares, are below the float32 maximum, 3.4e38.
)
MAX_SPACING = 1e-2  # Largest float32 spacing, relative to the standard deviation, that is accepted.
MISSING_VALUES = (255, -100, -1)  # Values used by other programs for missing labels.


def abstract_target(run: Run, task: Task, split: str, labels: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the converted labels: the abstract counterpart of `to_target`.

    Args:
      run: the run.
      task: the task of the labels.
      split: the split of the data, for error messages.
      labels: an object with `shape` and `dtype`.

    Raises:
      BadInput: if the shape or dtype of the labels is invalid for the task's loss.
    """
    shape, dtype = labels.shape, labels.dtype
    fault = kind_fault(task, shape, dtype)
    if fault is not None:
        raise BadInput(f"run {run.name!r}: task {task.name!r}: {split} labels {fault}")
    kind = target_type(task.loss, task.num_outputs)
    if kind == "binary" and task.head is None:
        shape = shape[:1]
    if kind in ("binary", "multilabel", "continuous"):
        dtype = np.float32
    elif dtype.kind != "f":
        dtype = np.int32
    return jax.ShapeDtypeStruct(shape, dtype)


def to_target(run: Run, task: Task, split: str, values: np.ndarray) -> np.ndarray:
    """Converts the labels of one split of the data to targets of the task's loss.

    Integers and bools become int32, or, if the loss requires floats, float32 with NaN instead of
    -1; floats become float32 for the losses of this package. A column `[N, 1]` for a single
    logistic output becomes `[N]`.

    Raises:
      BadInput: naming run, task, split and what to pass instead, if the labels are invalid for
        the task's loss.
    """
    target = abstract_target(run, task, split, values)
    fault = value_fault(task, split, values)
    if fault is not None:
        raise BadInput(f"run {run.name!r}: task {task.name!r}{fault}")
    labels = values.reshape(target.shape)
    targets = labels.astype(target.dtype)
    if values.dtype.kind in "biu" and target.dtype == np.float32:
        targets[labels.astype(np.int64) < 0] = np.nan
    return targets


def kind_fault(task: Task, shape: tuple[int, ...], dtype: np.dtype) -> str | None:
    """Error message, to follow "labels", if the shape or dtype of labels is invalid."""
    dtype, kind = np.dtype(dtype), target_type(task.loss, task.num_outputs)
    size = f"[N{''.join(f', {n}' for n in shape[1:])}]"
    if dtype.kind not in "biuf":
        return (
            f"must be numbers, not {dtype}; give classes as integers, as in "
            "numpy.unique(labels, return_inverse=True)[1]"
        )
    if task.head is not None:
        return head_fault(kind, dtype)
    checks = {
        "multiclass": classes_fault,
        "binary": binary_fault,
        "multilabel": multilabel_fault,
        "continuous": numbers_fault,
    }
    return checks[kind](shape, dtype, size, task.num_outputs) if kind in checks else None


def head_fault(kind: TargetType | None, dtype: np.dtype) -> str | None:
    """Error message if labels have the wrong dtype for a task with a head of its own.

    Their shape is that of the head's outputs, which the loss checks.
    """
    if kind == "multiclass" and dtype.kind == "f":
        return f"are {dtype}: these are floats; give integers, -1 where one is missing"
    if kind == "continuous" and dtype.kind != "f":
        return f"are {dtype}: these are integers; give floats, NaN where one is missing"
    return None


def classes_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape or dtype for `cross_entropy`."""
    rule = f"integers [N] from 0 to {outputs - 1}, -1 where one is missing"
    if shape[1:] == (outputs,) and outputs > 1:
        what = "these are floats" if dtype.kind == "f" else "these are one-hot or several classes"
        return f"are {size}: {what}; give {rule}, as labels.argmax(1) of one-hot ones"
    if dtype.kind == "f":
        return f"are {dtype}: these are floats; give {rule}"
    if shape[1:] == (1,):
        return f"are a column {size}; give {rule}, as labels[:, 0]"
    hint = f", or a head of maps, as head=nets.heads.Pixel({outputs})" if len(shape) > 2 else ""
    return None if len(shape) == 1 else f"are {size}; give {rule}{hint}"


def binary_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape for one logistic output."""
    return None if shape[1:] in ((), (1,)) else f"are {size}; one output takes [N] of 0 and 1"


def multilabel_fault(shape: tuple, dtype: np.dtype, size: str, outputs: int) -> str | None:
    """Error message if labels have the wrong shape for several logistic outputs."""
    if shape[1:] == (outputs,):
        return None
    classes = "these are classes; " if len(shape) == 1 and dtype.kind != "f" else ""
    hint = ", or take the loss cross_entropy for one of several classes" if classes else ""
    return f"are {size}: {classes}num_outputs={outputs} take [N, {outputs}] of 0 and 1{hint}"


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
    hint = f"; for maps, give a head, as head=nets.heads.Pixel({outputs})" if len(shape) > 2 else ""
    each = "[N]" if outputs == 1 else f"[N, {outputs}]"
    return f"are {size}; num_outputs={outputs} takes {each}{hint}"


def value_fault(task: Task, split: str, values: np.ndarray) -> str | None:
    """Error message, to follow the task, if values of labels are invalid; None if valid."""
    kind = target_type(task.loss, task.num_outputs)
    if values.size == 0:
        return None
    if values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        if np.isinf(known).any():
            return f": {split} labels must be finite, not {known[np.isinf(known)][0]}"
        if kind in ("binary", "multilabel"):
            return probability_fault(split, known)
        return scale_fault(split, values) if kind == "continuous" else None
    if kind in ("binary", "multilabel"):
        return binary_value_fault(split, values, kind == "binary")
    return range_fault(split, values, task.num_outputs)


def range_fault(split: str, values: np.ndarray, outputs: int) -> str | None:
    """Error message if classes are outside the range of the outputs."""
    low, high = int(values.min()), int(values.max())
    if low >= -1 and high < outputs:
        return None
    invalid = high if high >= outputs else low
    from_one = invalid == outputs and values[values >= 0].min() == 1
    hint = "; they seem to begin at 1: give labels - 1" if from_one else missing_hint(invalid)
    return (
        f" has num_outputs={outputs}, so classes must lie in 0..{outputs - 1} "
        f"(-1 where missing), but the {split} data has class {invalid}{hint}"
    )


def binary_value_fault(split: str, values: np.ndarray, single: bool) -> str | None:
    """Error message if integer labels of logistic outputs are not 0, 1, or -1 for missing."""
    invalid = values[(values.astype(np.int64) < -1) | (values > 1)]
    if len(invalid) == 0:
        return None
    hint = ", or take the loss cross_entropy" if single else ""
    return (
        f": {split} labels have {invalid[0]}: these are classes; give floats in [0, 1], or 0 and "
        f"1 (-1 where missing){hint}{missing_hint(int(invalid[0]))}"
    )


def probability_fault(split: str, known: np.ndarray) -> str | None:
    """Error message if float labels of logistic outputs are not in [0, 1]."""
    invalid = known[(known < 0) | (known > 1)]
    if len(invalid) == 0:
        return None
    hint = missing_hint(float(invalid[0]), "NaN")
    if np.isin(known, (-1, 1)).all():
        hint = "; give (labels + 1) / 2 of -1 and +1"
    return f": {split} labels must lie in [0, 1] (NaN where missing), not {invalid[0]:g}{hint}"


def scale_fault(split: str, values: np.ndarray) -> str | None:
    """Error message if float32 cannot distinguish continuous targets or represent their squares.

    Targets `[N, D]`, and maps `[N, ..., D]`, are checked by column.
    """
    size = values.shape[-1] if values.ndim > 2 else values[:1].size
    for column in values.reshape(-1, max(size, 1)).T:
        known = column[~np.isnan(column)].astype(np.float64)
        largest, std = np.abs(known).max(initial=0.0), known.std() if known.size else 0.0
        if largest > MAX_MAGNITUDE:
            return (
                f": {split} labels reach {largest:g}, whose square is too large for float32; give "
                "them in a larger unit"
            )
        if np.spacing(np.float32(largest)) > MAX_SPACING * std > 0:
            return (
                f": {split} labels lie at {known.mean():g} with a standard deviation of {std:g}, "
                "which float32 does not keep apart; take their mean off"
            )
    return None


def missing_hint(value: float, marker: str = "-1") -> str:
    """Hint if a value looks like another program's marker of a missing label."""
    return f"; if {value:g} means missing, write {marker}" if value in MISSING_VALUES else ""


def check_splits(run: Run, task: Task, splits: Mapping[str, np.ndarray]) -> None:
    """Requires at least one training label, and that -1 marks missing labels rather than a class.

    Args:
      run: the run.
      task: the task of the labels.
      splits: the original labels of each split of the data.

    Raises:
      BadInput: if all training labels are missing; or if the classes are -1 and +1, or -1 to
        C - 2.
    """
    where = f"run {run.name!r}: task {task.name!r}"
    train = splits["train"]
    if not (train >= 0 if train.dtype.kind != "f" else ~np.isnan(train)).any():
        raise BadInput(f"{where}: all of its labels in the train data are missing (-1 or NaN)")
    if any(values.dtype.kind == "f" for values in splits.values()):
        return
    present = set().union(*(np.unique(values).tolist() for values in splits.values()))
    kind = target_type(task.loss, task.num_outputs)
    if kind is None or -1 not in present:
        return
    classes = task.num_outputs if kind == "multiclass" else 2
    if present == {-1, 1}:
        raise BadInput(
            f"{where}: labels are -1 and 1, but -1 means missing; give 0 and 1 for two classes"
        )
    if classes > 1 and present == set(range(-1, classes - 1)):
        fewer = f", or take num_outputs={classes - 1} if these are all" if classes > 2 else ""
        raise BadInput(
            f"{where}: labels go from -1 to {classes - 2}, but -1 means missing; give labels + 1"
            f"{fewer}"
        )
