"""Seeded random generators on the host, and class-stratified splits."""

import zlib
from typing import Protocol

import numpy as np

from mtl_jax.core.validation import require, require_int, require_number


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator for the stream `name`, the same in every process, independent of others."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


class RandomSplit(Protocol):
    """A source that is split at random."""

    @property
    def validation(self) -> float:
        """Fraction of the validation part."""

    @property
    def test(self) -> float:
        """Fraction of the test part."""


def require_fractions(source: RandomSplit) -> None:
    """Checks that the fractions `validation` and `test` of a source are positive and at most 1."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    for field, fraction in (("validation", source.validation), ("test", source.test)):
        require(fraction > 0, source, field, "must be positive", fraction)


def require_split(source: RandomSplit) -> None:
    """Checks that a source's fractions are positive and leave a training part, and its seed."""
    require_number(source, validation=(0.0, 1.0), test=(0.0, 1.0))
    rule = "must be positive and leave a part to train on"
    valid = 0 < source.validation < 1 - source.test
    require(valid, source, "validation", rule, source.validation)
    require(0 < source.test < 1, source, "test", rule, source.test)
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
    is_test = evenly_spaced_mask(len(order), test)
    rest = order[~is_test]
    is_validation = evenly_spaced_mask(len(rest), validation / (1.0 - test))
    part = np.zeros(len(labels), np.int64)
    part[rest[is_validation]], part[order[is_test]] = 1, 2
    part = with_every_class(part, [labels], order)
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2)


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
        for label in np.setdiff1d(row[row >= 0], row[part == 0]):
            counts = np.min([class_counts(labels, part == 0) for labels in classes], axis=0)
            removed = order[np.argmax(counts[order])]
            if counts[removed] >= 2:
                added = order[np.argmax(row[order] == label)]
                part[removed], part[added] = part[added], 0
    return part


def class_counts(row: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Count of examples inside that share each example's class, `[N]`; 0 for examples outside."""
    _, code = np.unique(row, return_inverse=True)
    counts = np.bincount(code[inside], minlength=code.max(initial=0) + 1)
    return np.where(inside, np.where(row >= 0, counts[code], inside.sum()), 0)


def hold_out(count: int, fraction: float, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices `[N]` of `count` training examples, and of those held out for validation.

    At least one example is on either side, if there are two.
    """
    rng = generator(seed, name)
    fraction = min(max(fraction, 1.0 / count), 1.0 - 1.0 / count)
    return stratified_split(np.zeros(count, np.int32), fraction, 0.0, rng)[:2]


def split_sizes(count: int, validation: float, test: float) -> tuple[int, int, int]:
    """Sizes of the parts into which `stratified_split` splits `count` examples."""
    rng, labels = np.random.default_rng(0), np.zeros(count, int)
    train_part, validation_part, test_part = stratified_split(labels, validation, test, rng)
    return len(train_part), len(validation_part), len(test_part)


def evenly_spaced_mask(size: int, fraction: float) -> np.ndarray:
    """Mask of `round(size * fraction)` of `size` positions, evenly spaced."""
    return np.diff(np.round(np.arange(size + 1) * fraction)) > 0
