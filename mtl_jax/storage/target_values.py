"""Checks of the values of labels."""

import numpy as np

from mtl_jax.config.task import Task
from mtl_jax.losses.target_type import target_type
from mtl_jax.storage.box_checks import box_fault, takes_boxes

MAX_MAGNITUDE = (
    1e18  # Its square, and sums of many such squares, are below the float32 maximum, 3.4e38.
)


MAX_SPACING = 1e-2  # Largest float32 spacing, relative to the standard deviation, that is accepted.


MISSING_VALUES = (255, -100, -1)  # Values used by other programs for missing labels.


def value_fault(task: Task, split: str, values: np.ndarray, are_all: bool = True) -> str | None:
    """Error message, to follow the task, if values of labels are invalid; None if valid.

    Args:
      task: the task.
      split: the split of the data.
      values: the labels.
      are_all: whether these are all labels of the split, so that their scale can be checked.
    """
    kind = target_type(task.loss, task.num_outputs)
    if values.size == 0:
        return None
    if takes_boxes(task):
        return box_fault(split, values, task.num_outputs)
    if values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        if np.isinf(known).any():
            return f": {split} labels must be finite, not {known[np.isinf(known)][0]}"
        if kind in ("binary", "multilabel"):
            return probability_fault(split, known)
        return scale_fault(split, values) if kind == "continuous" and are_all else None
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
