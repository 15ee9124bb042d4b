"""Which examples splits of TFDS have, so that runs are checked before any is prepared."""

from typing import Any, NamedTuple

from mtl_jax.core.validation import BadInput

# By data set and part; a list that is short on purpose, of what experiments name.
SIZES = {
    "cifar10": {"train": 50_000, "test": 10_000},
    "cifar100": {"train": 50_000, "test": 10_000},
    "mnist": {"train": 60_000, "test": 10_000},
    "stl10": {"train": 5_000, "test": 8_000, "unlabelled": 100_000},
    "svhn_cropped": {"train": 73_257, "test": 26_032, "extra": 531_131},
}


class Slice(NamedTuple):
    """Examples of a part of a data set."""

    split: str  # that it belongs to, as the user wrote it
    part: str
    first: int
    end: int  # the last and one


def slices_of(builder: Any, split: str) -> list[Slice] | None:
    """The slices that a split such as "train[:98%]+extra" is joined of, prepared or not.

    Args:
      builder: of the data set.
      split: as TFDS takes it.

    Returns:
      The slices, or None if nobody knows them before the data set is prepared.

    Raises:
      ValueError: if the data set has no such part.
    """
    import tensorflow_datasets as tfds

    if builder.info.splits:
        sizes = {name: part.num_examples for name, part in builder.info.splits.items()}
    elif builder.name in SIZES:
        sizes = SIZES[builder.name]
    else:
        return None
    parts = {
        name: tfds.core.SplitInfo(
            name=name, shard_lengths=[count], num_bytes=0, filename_template=None
        )
        for name, count in sizes.items()
    }
    found = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits or parts)
    return [
        Slice(split, at.splitname, at.from_ or 0, sizes[at.splitname] if at.to is None else at.to)
        for at in found
    ]


def require_apart(*parts: list[Slice]) -> None:
    """Requires slices of parts to share no example.

    Raises:
      BadInput: naming two splits that do, and how many.
    """
    slices = [one for part in parts for one in part]
    for at, one in enumerate(slices):
        for other in slices[:at]:
            shared = min(one.end, other.end) - max(one.first, other.first)
            if one.part == other.part and shared > 0:
                both = f"{other.split!r} and {one.split!r} share {shared} examples of {one.part!r}"
                raise BadInput(f"Tfds.split must have slices that share no example: {both}")
