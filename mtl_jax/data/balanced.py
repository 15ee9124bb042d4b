"""Selection of examples that is balanced over the classes of every task."""

import numpy as np

FAR = 2**62


def balanced(classes: list[np.ndarray], count: int) -> np.ndarray:
    """Selects `count` examples balanced over the classes, as indices `[count]`.

    Examples are selected by `by_level`. With several tasks, if `count` is a multiple of every
    task's number of classes, the result of `by_quota` is used instead where it exists.

    Args:
      classes: per task, `[M]` in the order of the examples; -1 is missing.
      count: number of selected examples, at most M.
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
    """The first examples that give each class of each task `count / C` labels, or None.

    Greedy: an example is selected unless one of its classes has already reached its quota. Returns
    None if some class does not reach its quota this way.
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
    """Selects examples so that classes fill up level by level, `[count]`.

    Each step selects the example that gives the most classes their first label. Ties are broken
    by how far its classes are ahead, where a class is ahead by the number of labels it has more
    than the smallest class of its task that has examples left: first by the maximum over tasks,
    then by the sum over tasks, then by the order of the examples. With one task, no class
    therefore gets another label before every class with examples left has as many. With several
    tasks, this holds as long as there are examples with the right combination of classes. A
    missing label is never ahead.

    Args:
      classes: per task, `[T, M]` in the order of the examples; -1 is missing.
      count: number of selected examples, at most M.
    """
    # Examples with identical classes have the same cost: only the first one left is considered.
    kinds, group = np.unique(classes, axis=1, return_inverse=True)
    first, after = queues(group.reshape(-1), kinds.shape[1])
    there = kinds >= 0
    codes = np.stack([np.unique(row, return_inverse=True)[1] for row in kinds])
    had = np.zeros((len(kinds), codes.max() + 1), np.int64)
    each = np.arange(len(kinds))[:, None]
    drawn = np.empty(count, np.int64)
    scale = 1 + count * len(kinds)  # Larger than any sum over tasks.
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
    """The first index of each group, and for each index the next index of the same group.

    The length of `group` marks "none".
    """
    size = len(group)
    order = np.argsort(group, kind="stable")
    head = order[np.searchsorted(group[order], np.arange(groups))]
    after = np.full(size, size)
    same = group[order[1:]] == group[order[:-1]]
    after[order[:-1][same]] = order[1:][same]
    return head, after
