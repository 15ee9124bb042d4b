"""How many examples data sets of TFDS have, so that runs are checked before any is prepared."""

from typing import Any

# By data set and part; a list that is short on purpose, of what experiments name.
SIZES = {
    "cifar10": {"train": 50_000, "test": 10_000},
    "cifar100": {"train": 50_000, "test": 10_000},
    "mnist": {"train": 60_000, "test": 10_000},
    "stl10": {"train": 5_000, "test": 8_000, "unlabelled": 100_000},
    "svhn_cropped": {"train": 73_257, "test": 26_032, "extra": 531_131},
}


def examples(builder: Any, split: str) -> int | None:
    """How many examples a split such as "train[:98%]+extra" has, prepared or not.

    Args:
      builder: of the data set.
      split: as TFDS takes it.

    Returns:
      The number, or None if nobody knows it before the data set is prepared.

    Raises:
      ValueError: if the data set has no such part.
    """
    import tensorflow_datasets as tfds

    if builder.info.splits:
        return builder.info.splits[split].num_examples
    if builder.name not in SIZES:
        return None
    parts = {
        name: tfds.core.SplitInfo(
            name=name, shard_lengths=[count], num_bytes=0, filename_template=None
        )
        for name, count in SIZES[builder.name].items()
    }
    sizes = SIZES[builder.name]

    def length(part: Any) -> int:
        last = sizes[part.splitname] if part.to is None else part.to
        return last - (part.from_ or 0)

    return sum(map(length, tfds.core.ReadInstruction.from_spec(split).to_absolute(parts)))
