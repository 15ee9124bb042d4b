"""Sizes and slices of TFDS splits, so that runs are checked before data are prepared."""

from typing import Any, NamedTuple

from mtl_jax.core.validation import BadInput

# By data set and part; deliberately short, limited to those that experiments use.
SIZES = {
    "celeb_a": {"train": 162_770, "validation": 19_867, "test": 19_962},
    "cifar10": {"train": 50_000, "test": 10_000},
    "cifar100": {"train": 50_000, "test": 10_000},
    "mnist": {"train": 60_000, "test": 10_000},
    "stl10": {"train": 5_000, "test": 8_000, "unlabelled": 100_000},
    "svhn_cropped": {"train": 73_257, "test": 26_032, "extra": 531_131},
}


class Slice(NamedTuple):
    """A slice of a part of a data set."""

    split: str  # split that contains it, as written by the user
    part: str
    first: int
    end: int  # exclusive


def slices_of(builder: Any, split: str) -> list[Slice] | None:
    """The slices of a split such as "train[:98%]+extra", prepared or not.

    Args:
      builder: builder of the data set.
      split: TFDS split string.

    Returns:
      The slices, or None if they are unknown until the data set is prepared.

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
    instructions = tfds.core.ReadInstruction.from_spec(split)
    slices = []
    for piece in instructions.to_absolute(builder.info.splits or parts):
        end = sizes[piece.splitname] if piece.to is None else piece.to
        slices.append(Slice(split, piece.splitname, piece.from_ or 0, end))
    return slices


def require_disjoint(*parts: list[Slice]) -> None:
    """Checks that the slices of different parts do not overlap.

    Raises:
      BadInput: naming two splits that overlap, and the number of shared examples.
    """
    slices = [piece for part in parts for piece in part]
    for i, b in enumerate(slices):
        for a in slices[:i]:
            shared = min(a.end, b.end) - max(a.first, b.first)
            if a.part == b.part and shared > 0:
                overlap = f"{a.split!r} and {b.split!r} share {shared} examples of {a.part!r}"
                raise BadInput(f"Tfds.split must have slices that share no example: {overlap}")
