"""Sampling of labelled subsets that are balanced over the classes of every task."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.data.balanced import select_balanced
from mtl_jax.data.partial_labels import assign_labels
from mtl_jax.data.random_split import generator, with_every_class


def sample_labelled_subset(
    labels: Mapping[str, np.ndarray], count: int | None, partial: bool, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Samples the labelled examples, balanced over the classes of all tasks simultaneously.

    Examples are shuffled and selected so that classes fill up level by level, see
    `mtl_jax.data.balanced.select_by_level`: with one task, no class gets another label before every
    class with examples left has as many; with several tasks, this holds as long as there are examples
    with the right combination of classes. Classes are integers `[N]`, or floats `[N]` that are only 0
    and 1; continuous targets, maps and sequences do not affect the balance. A missing label (-1, or NaN in all
    entries) is never counted, and an example without any label is never selected. The same seed
    selects the same examples for either value of `partial`.

    Args:
      labels: per task, integers or floats `[N, ...]`.
      count: number of selected examples, L; None selects all that have a label.
      partial: whether each selected example keeps the label of only one of its tasks. Examples
        with fewer labels are assigned first, each to the task with the fewest labels so far; if no
        label is missing, the tasks' label counts differ by at most 1. Selected classes keep a
        label as far as `mtl_jax.data.partial_labels.assign_labels` permits.
      seed: seed of the sampling.

    Returns:
      The indices of the selected examples in ascending order, int32 `[L]`, and for each task a
      mask of the examples with a label, bool `[L]`.

    Raises:
      BadInput: if labels are not numeric arrays of these shapes, if `count` is greater than the
        number of labelled examples or less than a task's number of classes, or if `partial` is set
        for a single task.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> digit = np.array([0, 0, 0, 0, 1, 1])
      >>> index, _ = data.sample_labelled_subset({"digit": digit}, 4, partial=False, seed=0)
      >>> digit[index].tolist()
      [0, 0, 1, 1]
    """
    check_rows(labels)
    valid = not partial or len(labels) > 1
    require(valid, "few_labels", "partial", "must be False for a single task", partial)
    names = sorted(labels)
    mask = np.stack([has_label(labels[name]) for name in names])
    index = np.flatnonzero(mask.any(0))
    classes = [classes_among(labels[name]) for name in names]
    if count is not None:
        categorical = [values for values in classes if values is not None]
        check_count(count, len(index), [values[values >= 0] for values in categorical])
        order = generator(seed, "few_labels").permutation(index)
        index = np.sort(order[select_balanced([values[order] for values in categorical], count)])
    mask = mask[:, index]
    if partial:
        selected = [None if values is None else values[index] for values in classes]
        mask = assign_labels(mask, selected, generator(seed, "few_labels/partial"))
    return index.astype(np.int32), dict(zip(names, mask, strict=True))


def held_out(
    labels: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int, seed: int
) -> np.ndarray:
    """Samples the labelled examples that are held out from training, stratified by class.

    Examples are shuffled, sorted by which labels they have and by class, and selected at even
    intervals. Each class keeps a training example as far as `with_every_class` permits.

    Args:
      labels: per task, `[L, ...]`.
      mask: per task, whether the label is known, `[L]`.
      count: number of held-out examples; may be 0.
      seed: seed of the sampling.

    Returns:
      Mask of the held-out examples, bool `[L]`.

    Raises:
      BadInput: if a task would have no label left on one of the two sides.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> digit = np.array([0, 0, 1, 1])
      >>> mask = data.held_out({"digit": digit}, {"digit": digit >= 0}, count=2, seed=0)
      >>> digit[mask].tolist()
      [0, 1]
    """
    size = len(next(iter(mask.values())))
    order = generator(seed, "held out").permutation(size)
    names = sorted(mask)
    classes = [classes_among(labels[name]) for name in names]
    strata = [
        np.where(mask[name], 0 if values is None else values, -1)
        for name, values in zip(names, classes, strict=True)
    ]
    order = order[np.lexsort([row[order] for row in strata])]
    part = np.zeros(size, np.int64)
    part[order[((np.arange(count) + 0.5) * size / max(1, count)).astype(int)]] = 1
    is_held_out = with_every_class(part, strata, order) > 0
    for name, known in mask.items():
        counts = (int(known[is_held_out].sum()), int(known[~is_held_out].sum()))
        rule = f"must leave labels of {name!r} on both sides"
        require(count == 0 or min(counts) > 0, "held_out", "count", rule, counts)
    return is_held_out


def as_signed(values: np.ndarray) -> np.ndarray:
    """Casts booleans and unsigned integers to int64, which can hold -1; others are unchanged."""
    return values.astype(np.int64) if values.dtype.kind in "bu" else values


def classes_among(values: np.ndarray) -> np.ndarray | None:
    """Labels as classes `[N]` int64, -1 where missing; None for continuous targets and maps.

    Floats are classes if they have shape `[N]` or `[N, 1]` and contain only 0, 1 and NaN.
    """
    if values.dtype.kind != "f" and values.ndim > 1:
        return None
    if values.dtype.kind != "f":
        return np.maximum(values.astype(np.int64), -1)
    if values.ndim > 2 or values.size != len(values):
        return None
    values = values.reshape(-1)
    known = ~np.isnan(values)
    if not np.isin(values[known], (0, 1)).all():
        return None
    return np.where(known, values, -1).astype(np.int64)


def check_rows(labels: Mapping[str, np.ndarray]) -> None:
    """Checks that there is a task, and that all labels are numeric with one N."""
    require(len(labels) > 0, "few_labels", "labels", "must have a task", dict(labels))
    rows = next(iter(labels.values())).shape[:1]
    for name, values in labels.items():
        actual = f"{values.dtype} {list(values.shape)}"
        valid = values.dtype.kind in "biuf" and values.shape[:1] == rows
        require(valid, "few_labels", f"labels[{name!r}]", "must be numbers [N, ...]", actual)


def check_count(count: int, labelled: int, classes: list[np.ndarray]) -> None:
    """Checks that there are enough labelled examples, and at least one per class of each task."""
    rule = f"must be at most {labelled}, the labelled examples there are"
    require(count <= labelled, "few_labels", "count", rule, count)
    num_classes = max((len(np.unique(values)) for values in classes), default=1)
    rule = f"must be at least {num_classes}, the classes of a task"
    require(count >= num_classes, "few_labels", "count", rule, count)


def has_label(values: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """Mask `[N]` of the labels that are not missing (-1 or NaN), for NumPy or JAX arrays.

    A vector or map of labels is present if any of its entries is known.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> data.has_label(np.array([3, -1])).tolist(), data.has_label(np.array([np.nan, 0.5])).tolist()
      ([True, False], [False, True])
    """
    library = jnp if isinstance(values, jax.Array) else np
    # Under jit, XLA assumes that the absolute value of a NaN is at least 0.
    known = ~library.isnan(values) if values.dtype.kind == "f" else values >= 0
    return known if values.ndim == 1 else library.any(known.reshape(len(values), -1), 1)
