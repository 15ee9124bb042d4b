"""Which training examples have labels: few, and balanced over the classes of every task."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.data.balanced import balanced
from mtl_jax.data.partial_labels import shared_out
from mtl_jax.data.random_split import generator, with_every_class


def few_labels(
    labels: Mapping[str, np.ndarray], count: int | None, partial: bool, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws the examples whose labels are known, balanced over every task's classes at once.

    Examples come in a random order and are drawn so that classes fill up level by level, see
    `mtl_jax.data.balanced.by_level`: with one task, no class gets another label before all that
    have examples left have as many; with several, as far as there are examples with the right
    classes of all of them. Classes are integers, and floats `[N]` of 0 and 1 only; other numbers
    do not matter for this. A label that is missing (-1, or NaN in all entries) is never counted,
    and an example with no label at all is never drawn. The same seed draws the same examples,
    whatever `partial` is.

    Args:
      labels: of each task: classes as integers `[N]`, or floats `[N]` or `[N, ...]`.
      count: how many examples are drawn, L; None draws all that have a label.
      partial: whether each drawn example keeps the label of one of its tasks only. Examples
        with fewer labels choose first, each the task that has the fewest so far; with no
        label missing, the tasks' numbers of labels differ by at most 1. A class that was drawn
        keeps a label as far as `mtl_jax.data.partial_labels.shared_out` can.
      seed: of the drawing.

    Returns:
      The drawn examples in rising order, int32 `[L]`, and for each task whether each of
      them has its label, bool `[L]`.

    Raises:
      BadInput: if labels are no numbers of such shapes, if `count` is more than the labelled
        examples there are or less than a task's number of classes, or if `partial` has a
        single task.
    """
    check_rows(labels)
    alone = partial and len(labels) < 2
    require(not alone, "few_labels", "partial", "must be False for a single task", partial)
    names = sorted(labels)
    present = np.stack([has_label(labels[name]) for name in names])
    index = np.flatnonzero(present.any(0))
    found = [classes_among(labels[name]) for name in names]
    if count is not None:
        whole = [values for values in found if values is not None]
        check_count(count, len(index), [values[values >= 0] for values in whole])
        order = generator(seed, "few_labels").permutation(index)
        index = np.sort(order[balanced([values[order] for values in whole], count)])
    kept = present[:, index]
    if partial:
        own = [None if values is None else values[index] for values in found]
        kept = shared_out(kept, own, generator(seed, "few_labels/partial"))
    return index.astype(np.int32), dict(zip(names, kept, strict=True))


def held_out(
    labels: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int, seed: int
) -> np.ndarray:
    """Draws which of the labelled examples are not trained on, in every class alike.

    Examples are shuffled, put in the order of which labels they have and of their classes, and
    taken at even spaces. A class keeps an example to train on as far as `with_every_class` can.

    Args:
      labels: of each task, `[L, ...]`.
      mask: of each task, whether the label is known, `[L]`.
      count: how many are drawn; 0 draws none.
      seed: of the drawing.

    Returns:
      Whether each example is drawn, bool `[L]`.

    Raises:
      BadInput: if a task would have no label left on one of the sides.
    """
    size = len(next(iter(mask.values())))
    order = generator(seed, "held out").permutation(size)
    names = sorted(mask)
    classes = [classes_among(labels[name]) for name in names]
    kinds = [
        np.where(mask[name], 0 if own is None else own, -1)
        for name, own in zip(names, classes, strict=True)
    ]
    order = order[np.lexsort([row[order] for row in kinds])]
    part = np.zeros(size, np.int64)
    part[order[((np.arange(count) + 0.5) * size / max(1, count)).astype(int)]] = 1
    out = with_every_class(part, kinds, order) > 0
    for name, known in mask.items():
        sides = (int(known[out].sum()), int(known[~out].sum()))
        rule = f"must leave labels of {name!r} on both sides"
        require(count == 0 or min(sides) > 0, "held_out", "count", rule, sides)
    return out


def signed(values: np.ndarray) -> np.ndarray:
    """Labels that may be -1: truth values and unsigned integers as int64, others as they are."""
    return values.astype(np.int64) if values.dtype.kind in "bu" else values


def classes_among(values: np.ndarray) -> np.ndarray | None:
    """Classes `[N]` int64 of labels, -1 where missing; None if they are numbers.

    Floats are classes if they are `[N]` or `[N, 1]` and 0 or 1 only, beside NaN.
    """
    if values.dtype.kind != "f":
        return np.maximum(values.astype(np.int64), -1)
    if values.ndim > 2 or values.size != len(values):
        return None
    values = values.reshape(-1)
    there = ~np.isnan(values)
    if not np.isin(values[there], (0, 1)).all():
        return None
    return np.where(there, values, -1).astype(np.int64)


def check_rows(labels: Mapping[str, np.ndarray]) -> None:
    """Requires at least one task, and for each numbers of one N, classes `[N]`."""
    require(len(labels) > 0, "few_labels", "labels", "must have a task", dict(labels))
    rows = next(iter(labels.values())).shape[:1]
    for name, values in labels.items():
        found = f"{values.dtype} {list(values.shape)}"
        shape = values.shape[:1] if values.dtype.kind == "f" else values.shape
        fine = values.dtype.kind in "biuf" and shape == rows
        require(fine, "few_labels", f"labels[{name!r}]", "must be numbers [N]", found)


def check_count(count: int, labelled: int, classes: list[np.ndarray]) -> None:
    """Requires enough labelled examples, and one for each class of each task."""
    rule = f"must be at most {labelled}, the labelled examples there are"
    require(count <= labelled, "few_labels", "count", rule, count)
    most = max((len(np.unique(values)) for values in classes), default=1)
    rule = f"must be at least {most}, the classes of a task"
    require(count >= most, "few_labels", "count", rule, count)


def has_label(values: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """Tells missing labels, -1 or nothing but NaN, from others, `[N]`, of NumPy's arrays or JAX's.

    A vector of labels counts as one if any of its entries is known.
    """
    if values.dtype.kind != "f":
        return values >= 0
    # Under jit, XLA takes a NaN's absolute value for a number of at least 0.
    numbers = ~(jnp if isinstance(values, jax.Array) else np).isnan(values)
    return numbers.reshape(len(values), -1).any(1)
