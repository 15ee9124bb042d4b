"""Partial labels: each example keeps the label of one task only."""

import numpy as np


def shared_out(
    present: np.ndarray, classes: list[np.ndarray | None], rng: np.random.Generator
) -> np.ndarray:
    """Keeps one label per example, `[K, L]`, with tasks taking turns in random order.

    Then pairs of examples of two tasks are exchanged as long as that gives a label to a class
    without one and does not take the last label of another class.

    Args:
      present: which labels exist, bool `[K, L]`.
      classes: per task, `[L]`, -1 where missing; None for continuous targets.
      rng: random generator.
    """
    kept = by_turns(present, rng)
    for task, own in enumerate(classes):
        for kind in () if own is None else np.unique(own[present[task]]):
            if not kept[task, own == kind].any():
                exchange(kept, present, classes, task, np.flatnonzero(own == kind))
    return kept


def by_turns(present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each example, fewest labels first, keeps that of the task with the fewest so far."""
    kept = np.zeros_like(present)
    load = np.zeros(len(present))
    order = rng.permutation(present.shape[1])
    for i in order[np.argsort(present.sum(0)[order], kind="stable")]:
        rank = load + rng.random(len(load)) / 2  # Ties are broken at random.
        task = np.argmin(np.where(present[:, i], rank, np.inf))
        kept[task, i] = True
        load[task] += 1
    return kept


def exchange(
    kept: np.ndarray,
    present: np.ndarray,
    classes: list[np.ndarray | None],
    task: int,
    examples: np.ndarray,
) -> None:
    """Exchanges labels of two examples so that a task gains one of the given ones, in place."""
    for one in examples:
        other = int(np.argmax(kept[:, one]))
        given = kept[task] & present[other] & (counts(kept, classes, task) >= 2)
        # The class that the other task gives away has more labels left, or is given back.
        own = classes[other]
        if own is not None and counts(kept, classes, other)[one] < 2:
            given &= own == own[one]
        if given.any():
            back = np.flatnonzero(given)
            back = back[np.argmin(counts(kept, classes, other)[back])]
            kept[[task, other], one] = True, False
            kept[[task, other], back] = False, True
            return


def counts(kept: np.ndarray, classes: list[np.ndarray | None], task: int) -> np.ndarray:
    """Number of labels that a task keeps of each example's class, `[L]`; all if continuous."""
    own = classes[task]
    if own is None:
        return np.full(kept.shape[1], kept[task].sum())
    _, code = np.unique(own, return_inverse=True)
    return np.bincount(code[kept[task]], minlength=code.max() + 1)[code]
