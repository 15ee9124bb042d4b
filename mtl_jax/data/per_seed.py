"""A data source that is resampled for every seed of a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.join_names import Names


@dataclasses.dataclass(frozen=True)
class PerSeed(DataSource):
    """Wraps a source and resamples it for each seed: splits, pairs, positions and noise.

    Seed s of a run uses the source with s added to every `seed` in it. Confidence intervals over
    seeds then include the variance of the data sampling, whereas the source alone is one sample
    that all seeds share. The data of all seeds are kept in memory.

    Attributes:
      source: a source with a `seed`, or composed of sources with one.

    Raises:
      BadInput: if it is not a data source or has no seed; and when a run is prepared, if the data
        of two seeds differ in shape.

    Example:
      >>> from mtl_jax import data
      >>> data.PerSeed(data.Digits()).for_seed(3)
      Digits(seed=3)
    """

    source: DataSource

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        rule = "must be a source such as data.MultiDigits()"
        require(valid, self, "source", rule, self.source)
        has_seed = add_seed(self.source, 1) != self.source
        require(has_seed, self, "source", "must have a seed", self.source)

    def for_seed(self, seed: int) -> DataSource:
        """The source of a seed."""
        return add_seed(self.source, seed)

    @property
    def num_labelled_by_task(self) -> Mapping[str, int]:
        """Number of labelled examples by task, for the tasks that set it."""
        return self.source.num_labelled_by_task

    def shapes(self) -> Mapping[str, Any]:
        """Shapes and types of the training part of one seed."""
        return self.source.shapes()

    def num_labelled(self) -> int:
        """Number of labelled training examples of one seed."""
        return self.source.num_labelled()

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of unlabelled training images, if the source has them; equal for all seeds."""
        return self.source.pools()

    def classes(self) -> dict[str, Names]:
        """Classes of each label that the source names, in the order of their integers."""
        return self.source.classes()

    def load(self) -> Splits:
        """Raises an error: each seed has its own data, see `of`."""
        raise BadInput("PerSeed has data for each seed, and cannot stand within another source")


def add_seed(value: Any, seed: int) -> Any:
    """Adds a number to every `seed` in a setting."""
    if isinstance(value, tuple):
        return tuple(add_seed(item, seed) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    names = [field.name for field in dataclasses.fields(value) if field.init]
    changes = {
        name: item + seed if name == "seed" else add_seed(item, seed)
        for name in names
        if (item := getattr(value, name)) is not None
    }
    return dataclasses.replace(value, **changes)
