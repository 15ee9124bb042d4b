"""Seeded draws on the host: a generator for each user, and class-stratified parts."""

import zlib

import numpy as np

from mtl_jax.checks import require, require_count, require_number


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
    within two examples, however small the classes are.

    Args:
      labels: class of each example, `[N]`.
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
    return np.sort(rest[~validated]), np.sort(rest[validated]), np.sort(order[tested])


def sizes(count: int, validation: float, test: float) -> tuple[int, int, int]:
    """Sizes of the parts that `stratified` makes of `count` examples."""
    parts = stratified(np.zeros(count, int), validation, test, np.random.default_rng(0))
    return tuple(map(len, parts))


def spaced(size: int, share: float) -> np.ndarray:
    """Marks `round(size * share)` of `size` places, at even spaces."""
    return np.diff(np.round(np.arange(size + 1) * share)) > 0
