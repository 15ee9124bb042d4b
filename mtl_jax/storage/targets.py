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
from mtl_jax.storage.box_checks import box_kind_fault, takes_boxes
from mtl_jax.storage.target_values import value_fault


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


def to_target(
    run: Run, task: Task, split: str, values: np.ndarray, are_all: bool = True
) -> np.ndarray:
    """Converts the labels of one split of the data to targets of the task's loss.

    Integers and bools become int32, or, if the loss requires floats, float32 with NaN instead of
    -1; floats become float32 for the losses of this package. A column `[N, 1]` for a single
    logistic output becomes `[N]`. Whether float32 keeps them apart is checked if they are all labels
    of the split.

    Raises:
      BadInput: naming run, task, split and what to pass instead, if the labels are invalid for
        the task's loss.
    """
    target = abstract_target(run, task, split, values)
    fault = value_fault(task, split, values, are_all)
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
    if takes_boxes(task):
        return box_kind_fault(shape, dtype, size)
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
