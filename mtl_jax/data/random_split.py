"""Seeded draws on the host: a generator for each user, and class-stratified parts."""

import zlib

import numpy as np

from mtl_jax.core.validation import require, require_count, require_number


def generator(seed: int, name: str) -> np.random.Generator:
    """The generator of the user `name`, the same in every process and tied to no other user's."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def require_shares(source: object) -> None:
    """Requires a source's shares `validation` and `test` to be positive and at most 1."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    for field in ("validation", "test"):
        share = getattr(source, field)
        require(share > 0, source, field, "must be positive", share)


def require_dealt(source: object) -> None:
    """Requires a source's shares to be positive and leave a part to train on, and a seed."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    for field in ("validation", "test"):
        share, most = getattr(source, field), 1 - source.test * (field == "validation")
        rule = "must be positive and leave a part to train on"
        require(0 < share < most, source, field, rule, share)
    require_count(source, seed=0)


def stratified(
    labels: np.ndarray, validation: float, test: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts examples at random into train, validation and test, in every class alike.

    Examples are shuffled, put in the order of their classes, and dealt out at even spaces.
    So each part has its share of all N to the nearest whole number, and of each class to
    within two examples, however small the classes are. A class that would have none in train
    gets one of its examples there, see `with_every_class`.

    Args:
      labels: class of each example, `[N]`; what is below 0 is missing.
      validation: share of the validation part, in [0, 1).
      test: share of the test part; both shares together are less than 1.
      rng: what shuffles.

    Returns:
      `(train, validation, test)`, the indices of each part in rising order.
    """
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    tested = spaced(len(order), test)
    rest = order[~tested]
    validated = spaced(len(rest), validation / (1.0 - test))
    part = np.zeros(len(labels), np.int64)
    part[rest[validated]], part[order[tested]] = 1, 2
    part = with_every_class(part, [labels], order)
    return tuple(np.flatnonzero(part == which) for which in range(3))


def with_every_class(part: np.ndarray, classes: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Parts in which every class has an example in part 0, of the same sizes.

    The first example of a class that has none there changes places with an example there whose
    classes have most there, at least two each. Where there is none, parts stay as they are.

    Args:
      part: of each example, `[N]`.
      classes: of each task, `[N]`; what is below 0 is missing.
      order: of the examples, `[N]`.
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
    """How many inside have the class of each example `[N]`; 0 for those that are not inside."""
    _, code = np.unique(row, return_inverse=True)
    counts = np.bincount(code[inside], minlength=code.max(initial=0) + 1)
    return np.where(inside, np.where(row >= 0, counts[code], inside.sum()), 0)


def sizes(count: int, validation: float, test: float) -> tuple[int, int, int]:
    """Sizes of the parts that `stratified` makes of `count` examples."""
    parts = stratified(np.zeros(count, int), validation, test, np.random.default_rng(0))
    return tuple(map(len, parts))


def spaced(size: int, share: float) -> np.ndarray:
    """Marks `round(size * share)` of `size` places, at even spaces."""
    return np.diff(np.round(np.arange(size + 1) * share)) > 0
