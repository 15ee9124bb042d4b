"""A source that is drawn anew for every seed of a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.join_names import Names, classes_of


@dataclasses.dataclass(frozen=True)
class PerSeed:
    """Another source whose draws are those of each seed: parts, pairs, places, noise.

    Seed s of a run has the data of the source with s added to every `seed` in it. So an interval
    over seeds tells what a new draw of the data would give, where the source alone is one draw
    that all seeds share. The data of all seeds are in memory.

    Attributes:
      source: one with a `seed`, or made of such.

    Raises:
      BadInput: for what is no source, or has no seed to draw by; and when a run is prepared, if
        the data of two seeds differ in shape.
    """

    source: Source

    def __post_init__(self):
        fine = hasattr(self.source, "load") and not isinstance(self.source, type)
        rule = "must be a source such as data.MultiDigits()"
        require(fine, self, "source", rule, self.source)
        drawn = reseeded(self.source, 1) != self.source
        require(drawn, self, "source", "must have a seed to draw by", self.source)

    def of(self, seed: int) -> Source:
        """The source of a seed."""
        return reseeded(self.source, seed)

    @property
    def labelled_by_task(self) -> dict[str, int]:
        """By task, how many examples have labels, of those that say so."""
        return getattr(self.source, "labelled_by_task", {})

    def shapes(self) -> Mapping[str, Any]:
        """Shapes and types of the training part of one seed."""
        return self.source.shapes()

    def known(self) -> int:
        """How many training examples of one seed have a label."""
        told = getattr(self.source, "known", None)
        return count_of(self.shapes()) if told is None else told()

    def pools(self) -> dict[str, np.ndarray]:
        """Which training images come without labels, if the source says: the same in all seeds."""
        return self.source.pools() if hasattr(self.source, "pools") else {}

    def classes(self) -> dict[str, Names]:
        """The classes of labels whose names the source tells, in the order of their integers."""
        return classes_of(self.source)

    def load(self) -> Splits:
        """Refuses: each seed has data of its own, `of`."""
        raise BadInput("PerSeed has data for each seed, and cannot stand within another source")


def count_of(shapes: Mapping[str, Any]) -> int:
    """Number of examples of the first stream."""
    first = next(iter(shapes.values()))
    return (first if isinstance(first, jax.ShapeDtypeStruct) else first["image"]).shape[0]


def reseeded(part: Any, seed: int) -> Any:
    """A setting with a number added to every `seed` in it."""
    if isinstance(part, tuple):
        return tuple(reseeded(one, seed) for one in part)
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return part
    names = [field.name for field in dataclasses.fields(part) if field.init]
    changes = {
        name: value + seed if name == "seed" else reseeded(value, seed)
        for name in names
        if (value := getattr(part, name)) is not None
    }
    return dataclasses.replace(part, **changes)
