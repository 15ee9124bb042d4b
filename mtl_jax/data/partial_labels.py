"""Partial labels: each example keeps the label of one task only."""

import numpy as np


def assign_labels(
    present: np.ndarray, classes: list[np.ndarray | None], rng: np.random.Generator
) -> np.ndarray:
    """Selects one label per example, `[K, L]`, with tasks taking turns in random order.

    Then pairs of examples of two tasks are swapped as long as that gives a label to a class
    without one and does not take the last label of another class.

    Args:
      present: which labels exist, bool `[K, L]`.
      classes: per task, `[L]`, -1 where missing; None for continuous targets.
      rng: random generator.
    """
    mask = assign_in_turns(present, rng)
    for task, labels in enumerate(classes):
        for label in () if labels is None else np.unique(labels[present[task]]):
            if not mask[task, labels == label].any():
                swap_labels(mask, present, classes, task, np.flatnonzero(labels == label))
    return mask


def assign_in_turns(present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each example, fewest labels first, keeps that of the task with the fewest so far."""
    mask = np.zeros_like(present)
    counts = np.zeros(len(present))
    order = rng.permutation(present.shape[1])
    for i in order[np.argsort(present.sum(0)[order], kind="stable")]:
        rank = counts + rng.random(len(counts)) / 2  # Ties are broken at random.
        task = np.argmin(np.where(present[:, i], rank, np.inf))
        mask[task, i] = True
        counts[task] += 1
    return mask


def swap_labels(
    mask: np.ndarray,
    present: np.ndarray,
    classes: list[np.ndarray | None],
    task: int,
    examples: np.ndarray,
) -> None:
    """Swaps labels of two examples so that a task gains one of the given ones, in place."""
    for gained in examples:
        other_task = int(np.argmax(mask[:, gained]))
        candidates = mask[task] & present[other_task] & (label_counts(mask, classes, task) >= 2)
        # The class that the other task gives away has more labels left, or is given back.
        labels = classes[other_task]
        if labels is not None and label_counts(mask, classes, other_task)[gained] < 2:
            candidates &= labels == labels[gained]
        if candidates.any():
            lost = np.flatnonzero(candidates)
            lost = lost[np.argmin(label_counts(mask, classes, other_task)[lost])]
            mask[[task, other_task], gained] = True, False
            mask[[task, other_task], lost] = False, True
            return


def label_counts(mask: np.ndarray, classes: list[np.ndarray | None], task: int) -> np.ndarray:
    """Number of labels that a task keeps of each example's class, `[L]`; all if continuous."""
    labels = classes[task]
    if labels is None:
        return np.full(mask.shape[1], mask[task].sum())
    _, code = np.unique(labels, return_inverse=True)
    return np.bincount(code[mask[task]], minlength=code.max() + 1)[code]
