"""Specifications of heads in addition to the task heads."""

from typing import NamedTuple

from mtl_jax.core.head import Head


class AuxHead(NamedTuple):
    """An auxiliary head of a task: `hidden` layers as wide as the features, then a linear one."""

    outputs: int
    hidden: int = 0


class AuxMLP(NamedTuple):
    """An MLP head with inputs from the method, such as a discriminator or a regressor.

    Layers `relu(x W + b)` of the given widths, then a linear one. Its input size is `input_size`,
    or `input_multiple` times the size of the task's features.
    """

    outputs: int
    widths: tuple[int, ...] = ()
    input_multiple: int = 1
    input_size: int | None = None


class CrossTaskEmbedding(NamedTuple):
    """An MLP that embeds predictions and labels of all tasks, with the size of the features."""

    width: int


# A head of a model; an integer is a linear head with that many outputs.
HeadSpec = int | Head | AuxHead | AuxMLP | CrossTaskEmbedding
