"""What a net may have besides one head for each task, as data."""

from typing import NamedTuple


class Head(NamedTuple):
    """A head that a method adds to a task: linear, behind hidden layers as wide as features."""

    outputs: int
    hidden: int = 0


class Free(NamedTuple):
    """A head whose input a method makes by itself: a discriminator, a regressor.

    Layers `relu(x W + b)` of some widths, then a linear one. It reads `times` as many numbers as
    the task's features have, or `size`.
    """

    outputs: int
    widths: tuple[int, ...] = ()
    times: int = 1
    size: int | None = None


class Relation(NamedTuple):
    """A small net that embeds predictions and labels of all tasks, as long as the features."""

    width: int
