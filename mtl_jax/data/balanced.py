"""Selection of examples that is balanced over the classes of every task."""

import numpy as np

INFINITY = 2**62


def select_balanced(classes: list[np.ndarray], count: int) -> np.ndarray:
    """Selects `count` examples balanced over the classes, as indices `[count]`.

    Examples are selected by `select_by_level`. With several tasks, if `count` is a multiple of
    every task's number of classes, the result of `select_by_quota` is used instead where it exists.

    Args:
      classes: per task, `[M]` in the order of the examples; -1 is missing.
      count: number of selected examples, at most M.
    """
    if not classes:
        return np.arange(count)
    num_classes = [len(np.unique(row[row >= 0])) for row in classes]
    if len(classes) > 1 and all(number and count % number == 0 for number in num_classes):
        selected = select_by_quota(classes, count)
        if selected is not None:
            return selected
    return select_by_level(np.stack(classes), count)


def select_by_quota(classes: list[np.ndarray], count: int) -> np.ndarray | None:
    """The first examples that give each class of each task `count / C` labels, or None.

    Greedy: an example is selected unless one of its classes has already reached its quota. Returns
    None if some class does not reach its quota this way.
    """
    rows = [row.tolist() for row in classes]
    class_sets = [set(row) - {-1} for row in rows]
    remaining = [dict.fromkeys(names, count // len(names)) | {-1: count} for names in class_sets]
    selected = []
    for index, labels in enumerate(zip(*rows, strict=True)):
        pairs = tuple(zip(remaining, labels, strict=True))
        if len(selected) < count and all(quota[label] for quota, label in pairs):
            selected.append(index)
            for quota, label in pairs:
                quota[label] -= 1
    filled = not any(
        quota[label] for quota, names in zip(remaining, class_sets, strict=True) for label in names
    )
    return np.array(selected) if filled and len(selected) == count else None


def select_by_level(classes: np.ndarray, count: int) -> np.ndarray:
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
    groups, group = np.unique(classes, axis=1, return_inverse=True)
    head, successor = linked_lists(group.reshape(-1), groups.shape[1])
    has_label = groups >= 0
    codes = np.stack([np.unique(row, return_inverse=True)[1] for row in groups])
    counts = np.zeros((len(groups), codes.max() + 1), np.int64)
    tasks = np.arange(len(groups))[:, None]
    selected = np.empty(count, np.int64)
    scale = 1 + count * len(groups)  # Larger than any sum over tasks.
    for i in range(count):
        has_examples = head < classes.shape[1]
        current = counts[tasks, codes]
        fewest = np.where(has_label & has_examples, current, INFINITY).min(1, keepdims=True)
        ahead = np.where(has_label, current - fewest, 0)
        first_labels = (has_label & (current == 0)).sum(0)
        cost = (ahead.max(0) - scale * first_labels) * scale + ahead.sum(0)
        cost = np.where(has_examples, cost, INFINITY)
        best = np.argmin(np.where(cost == cost.min(), head, INFINITY))
        selected[i] = head[best]
        head[best] = successor[selected[i]]
        counts[tasks[:, 0], codes[:, best]] += 1
    return selected


def linked_lists(group: np.ndarray, num_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The first index of each group, and for each index the next index of the same group.

    The length of `group` marks "none".
    """
    size = len(group)
    order = np.argsort(group, kind="stable")
    head = order[np.searchsorted(group[order], np.arange(num_groups))]
    successor = np.full(size, size)
    same = group[order[1:]] == group[order[:-1]]
    successor[order[:-1][same]] = order[1:][same]
    return head, successor
