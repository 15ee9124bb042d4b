"""Which one of its labels each example keeps, where each has the label of one task only."""

import numpy as np


def shared_out(
    present: np.ndarray, classes: list[np.ndarray | None], rng: np.random.Generator
) -> np.ndarray:
    """Leaves each example one of its labels, `[K, L]`, tasks taking turns at random.

    Then examples of two tasks change them as long as that gives a class that has no label left
    one, and takes no other class its last.

    Args:
      present: which labels there are, bool `[K, L]`.
      classes: of each task, `[L]`, -1 where missing; None of numbers.
      rng: what draws.
    """
    kept = by_turns(present, rng)
    for task, own in enumerate(classes):
        for kind in () if own is None else np.unique(own[present[task]]):
            if not kept[task, own == kind].any():
                exchange(kept, present, classes, task, np.flatnonzero(own == kind))
    return kept


def by_turns(present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each example keeps the label of the task that has fewest, those of fewer labels first."""
    kept = np.zeros_like(present)
    load = np.zeros(len(present))
    order = rng.permutation(present.shape[1])
    for i in order[np.argsort(present.sum(0)[order], kind="stable")]:
        rank = load + rng.random(len(load)) / 2  # A tie is broken by lot.
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
    """Gives a task the label of one of some examples, for that of another one, in place."""
    for one in examples:
        other = int(np.argmax(kept[:, one]))
        given = kept[task] & present[other] & (counts(kept, classes, task) >= 2)
        # What the other task gives away it has more of, or gets back.
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
    """How many labels a task keeps of the class of each example, `[L]`; of numbers all."""
    own = classes[task]
    if own is None:
        return np.full(kept.shape[1], kept[task].sum())
    _, code = np.unique(own, return_inverse=True)
    return np.bincount(code[kept[task]], minlength=code.max() + 1)[code]
