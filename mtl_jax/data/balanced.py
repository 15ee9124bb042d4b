"""Which examples of an order are drawn, so that every class of every task has as many as others."""

import numpy as np

FAR = 2**62


def balanced(classes: list[np.ndarray], count: int) -> np.ndarray:
    """Places of the examples drawn out of an order, `[count]`.

    Examples are drawn by `by_level`. Where `count` is a multiple of the classes of every one of
    several tasks, those of `by_quota` are taken instead if there are such.

    Args:
      classes: of each task, `[M]` in the order of the examples; -1 is missing.
      count: how many are drawn, at most M.
    """
    if not classes:
        return np.arange(count)
    numbers = [len(np.unique(row[row >= 0])) for row in classes]
    if len(classes) > 1 and all(number and count % number == 0 for number in numbers):
        drawn = by_quota(classes, count)
        if drawn is not None:
            return drawn
    return by_level(np.stack(classes), count)


def by_quota(classes: list[np.ndarray], count: int) -> np.ndarray | None:
    """The first examples that give each class of each task `count / C` labels, if they do.

    One after the other is drawn unless one of its classes has its number already; None if that
    does not end with all classes having theirs.
    """
    rows = [row.tolist() for row in classes]
    kinds = [set(row) - {-1} for row in rows]
    left = [dict.fromkeys(own, count // len(own)) | {-1: count} for own in kinds]
    drawn = []
    for place, own in enumerate(zip(*rows, strict=True)):
        pairs = tuple(zip(left, own, strict=True))
        if len(drawn) < count and all(rest[kind] for rest, kind in pairs):
            drawn.append(place)
            for rest, kind in pairs:
                rest[kind] -= 1
    met = not any(rest[kind] for rest, own in zip(left, kinds, strict=True) for kind in own)
    return np.array(drawn) if met and len(drawn) == count else None


def by_level(classes: np.ndarray, count: int) -> np.ndarray:
    """Draws examples so that classes fill up level by level, `[count]`.

    Each time that example is drawn which gives most classes their first label; of these the one
    whose classes are least ahead, where a class is ahead by how many more labels it has than
    that class of its task which has fewest and has examples left: first by the most of any task,
    then by the sum over tasks; and of these the first in order. So with one task no class gets
    another label before all that have examples left have as many. With several, this is so as
    long as there are examples with the right classes of all tasks together. A missing label is
    never ahead.

    Args:
      classes: of each task, `[T, M]` in the order of the examples; -1 is missing.
      count: how many are drawn, at most M.
    """
    # Examples that agree in all their classes cost the same: only the first left is looked at.
    kinds, group = np.unique(classes, axis=1, return_inverse=True)
    first, after = queues(group.reshape(-1), kinds.shape[1])
    there = kinds >= 0
    codes = np.stack([np.unique(row, return_inverse=True)[1] for row in kinds])
    had = np.zeros((len(kinds), codes.max() + 1), np.int64)
    each = np.arange(len(kinds))[:, None]
    drawn = np.empty(count, np.int64)
    scale = 1 + count * len(kinds)  # More than any sum over tasks.
    for i in range(count):
        left = first < classes.shape[1]
        now = had[each, codes]
        fewest = np.where(there & left, now, FAR).min(1, keepdims=True)
        ahead = np.where(there, now - fewest, 0)
        new = (there & (now == 0)).sum(0)
        cost = (ahead.max(0) - scale * new) * scale + ahead.sum(0)
        cost = np.where(left, cost, FAR)
        best = np.argmin(np.where(cost == cost.min(), first, FAR))
        drawn[i] = first[best]
        first[best] = after[drawn[i]]
        had[each[:, 0], codes[:, best]] += 1
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
