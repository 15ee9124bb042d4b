"""Which training examples have labels: few, and balanced over the classes of every task."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.checks import require
from mtl_jax.data.draws import generator

FAR = 2**62


def few_labels(
    labels: Mapping[str, np.ndarray], count: int | None, partial: bool, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws the examples whose labels are known, balanced over every task's classes at once.

    Examples come in a random order. One is drawn if, for each task of whole-number labels,
    its class has fewer than `ceil(count / C) + slack` drawn examples so far; when no example
    is left that passes, slack grows from 0 by 1. Numbers (floats) do not matter for this.
    A label that is missing (-1, or NaN) is never counted, and an example with no label at
    all is never drawn. The same seed draws the same examples, whatever `partial` is.

    Args:
      labels: of each task: classes as whole numbers `[N]`, or floats `[N]` or `[N, ...]`.
      count: how many examples are drawn, L; None draws all that have a label.
      partial: whether each drawn example keeps the label of one of its tasks only. Examples
        with fewer labels choose first, each the task that has the fewest so far; with no
        label missing, the tasks' numbers of labels differ by at most 1.
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
    if count is not None:
        whole = [np.maximum(labels[n], -1) for n in names if labels[n].dtype.kind != "f"]
        check_count(count, len(index), [values[values >= 0] for values in whole])
        order = generator(seed, "few_labels").permutation(index)
        index = np.sort(order[balanced([values[order] for values in whole], count)])
    kept = present[:, index]
    if partial:
        kept = shared_out(kept, generator(seed, "few_labels/partial"))
    return index.astype(np.int32), dict(zip(names, kept, strict=True))


def held_out(
    labels: Mapping[str, np.ndarray], mask: Mapping[str, np.ndarray], count: int, seed: int
) -> np.ndarray:
    """Draws which of the labelled examples are not trained on, in every class alike.

    Examples are shuffled, put in the order of which labels they have and of their classes, and
    taken at even spaces.

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
    kinds = [
        np.where(mask[name], labels[name] if labels[name].dtype.kind != "f" else 0, -1)[order]
        for name in sorted(mask)
    ]
    order = order[np.lexsort(kinds)]
    out = np.zeros(size, bool)
    out[order[((np.arange(count) + 0.5) * size / max(1, count)).astype(int)]] = True
    for name, known in mask.items():
        sides = (int(known[out].sum()), int(known[~out].sum()))
        rule = f"must leave labels of {name!r} on both sides"
        require(count == 0 or min(sides) > 0, "held_out", "count", rule, sides)
    return out


def check_rows(labels: Mapping[str, np.ndarray]) -> None:
    """Requires at least one task, and for each numbers of one N, classes `[N]`."""
    require(len(labels) > 0, "few_labels", "labels", "must have a task", dict(labels))
    rows = next(iter(labels.values())).shape[:1]
    for name, values in labels.items():
        found = f"{values.dtype} {list(values.shape)}"
        shape = values.shape[:1] if values.dtype.kind == "f" else values.shape
        fine = values.dtype.kind in "iuf" and shape == rows
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


def balanced(classes: list[np.ndarray], count: int) -> np.ndarray:
    """Places of the examples drawn out of an order, `[count]`.

    Examples that agree in all their classes pass or fail together, so only the first one
    left of each such group is looked at; this draws what walking the order again for each
    slack would draw, without the walks.

    Args:
      classes: of each task, `[M]` in the order of the examples; -1 is missing.
      count: how many are drawn.
    """
    if not classes:
        return np.arange(count)
    kinds, group = np.unique(np.stack(classes), axis=1, return_inverse=True)
    head, after = queues(group.reshape(-1), kinds.shape[1])
    lead, codes = leads(kinds, count)
    drawn = np.empty(count, np.int64)
    slack = 0
    for i in range(count):
        over = np.where(head < len(after), lead[codes].max(0), FAR)
        slack = max(slack, over.min() + 1)
        first = np.argmin(np.where(over < slack, head, FAR))
        drawn[i] = head[first]
        head[first] = after[drawn[i]]
        lead[codes[:, first]] += 1
    return drawn


def queues(group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The first place of each group, and the next place of the same group after each place.

    The number of places stands for "none".
    """
    size = len(group)
    order = np.argsort(group, kind="stable")
    head = order[np.searchsorted(group[order], np.arange(groups))]
    after = np.full(size, size)
    same = group[order[1:]] == group[order[:-1]]
    after[order[:-1][same]] = order[1:][same]
    return head, after


def leads(kinds: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """By how much each class of each task is over its quota before any example is drawn.

    Returns:
      Minus the quota of all classes in a row, and where in it each group `[T, G]` looks.
    """
    lead, codes = [], []
    for row in kinds:
        ids, code = np.unique(row, return_inverse=True)
        codes.append(code + sum(map(len, lead)))
        quota = -(-count // max(1, (ids >= 0).sum()))
        lead.append(np.where(ids < 0, -FAR, -quota))
    return np.concatenate(lead), np.stack(codes)


def shared_out(present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leaves each example one of its labels, `[K, L]`, tasks taking turns at random."""
    kept = np.zeros_like(present)
    load = np.zeros(len(present))
    order = rng.permutation(present.shape[1])
    for i in order[np.argsort(present.sum(0)[order], kind="stable")]:
        rank = load + rng.random(len(load)) / 2  # A tie is broken by lot.
        task = np.argmin(np.where(present[:, i], rank, np.inf))
        kept[task, i] = True
        load[task] += 1
    return kept
