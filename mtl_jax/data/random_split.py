"""Seeded random generators on the host, and class-stratified splits."""

import zlib

import numpy as np

from mtl_jax.core.validation import require, require_int, require_number


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator for the stream `name`, the same in every process, independent of others."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def require_shares(source: object) -> None:
    """Checks that the fractions `validation` and `test` of a source are positive and at most 1."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    for field in ("validation", "test"):
        share = getattr(source, field)
        require(share > 0, source, field, "must be positive", share)


def require_dealt(source: object) -> None:
    """Checks that a source's fractions are positive and leave a training part, and its seed."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    for field in ("validation", "test"):
        share, most = getattr(source, field), 1 - source.test * (field == "validation")
        rule = "must be positive and leave a part to train on"
        require(0 < share < most, source, field, rule, share)
    require_int(source, seed=0)


def stratified_split(
    labels: np.ndarray, validation: float, test: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits examples at random into train, validation and test, stratified by class.

    Examples are shuffled, sorted by class and assigned at even intervals. Each part therefore has
    its fraction of all N examples to the nearest integer, and of each class to within two
    examples, however small the classes are. A class that would have no training example gets one,
    see `with_every_class`.

    Args:
      labels: class of each example, `[N]`; negative values are missing.
      validation: fraction of the validation part, in [0, 1).
      test: fraction of the test part; the two fractions sum to less than 1.
      rng: random generator of the shuffle.

    Returns:
      `(train, validation, test)`, the indices of each part in ascending order.
    """
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    tested = evenly_spaced_mask(len(order), test)
    rest = order[~tested]
    validated = evenly_spaced_mask(len(rest), validation / (1.0 - test))
    part = np.zeros(len(labels), np.int64)
    part[rest[validated]], part[order[tested]] = 1, 2
    part = with_every_class(part, [labels], order)
    return tuple(np.flatnonzero(part == which) for which in range(3))


def with_every_class(part: np.ndarray, classes: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Parts of unchanged sizes in which every class has an example in part 0.

    The first example of a class that part 0 lacks is swapped with an example of part 0 whose
    classes have the most examples there, at least two each. If there is none, the parts are
    unchanged.

    Args:
      part: part of each example, `[N]`.
      classes: per task, `[N]`; negative values are missing.
      order: order of the examples, `[N]`.
    """
    part = part.copy()
    for row in classes:
        for kind in np.setdiff1d(row[row >= 0], row[part == 0]):
            spare = np.min([having(each, part == 0) for each in classes], axis=0)
            leaves = order[np.argmax(spare[order])]
            if spare[leaves] >= 2:
                enters = order[np.argmax(row[order] == kind)]
                part[leaves], part[enters] = part[enters], 0
    return part


def having(row: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Count of examples inside that share each example's class, `[N]`; 0 for examples outside."""
    _, code = np.unique(row, return_inverse=True)
    counts = np.bincount(code[inside], minlength=code.max(initial=0) + 1)
    return np.where(inside, np.where(row >= 0, counts[code], inside.sum()), 0)


def sizes(count: int, validation: float, test: float) -> tuple[int, int, int]:
    """Sizes of the parts into which `stratified_split` splits `count` examples."""
    parts = stratified_split(np.zeros(count, int), validation, test, np.random.default_rng(0))
    return tuple(map(len, parts))


def evenly_spaced_mask(size: int, share: float) -> np.ndarray:
    """Mask of `round(size * share)` of `size` positions, evenly spaced."""
    return np.diff(np.round(np.arange(size + 1) * share)) > 0
