"""Trunks of a stem and groups of residual blocks."""

import itertools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.core.trunk import DividedStage, StagedTrunk
from mtl_jax.nets.backbones.stages import bind, global_average_pool, sequential


class Group(DividedStage, nn.Module):
    """A sequence of residual blocks, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      blocks: unbound modules.
    """

    blocks: tuple[nn.Module, ...]

    @property
    def has_blocks(self) -> bool:
        """Whether there is a block before the last one."""
        return len(self.blocks) > 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, before: bool = False) -> Any:
        """Maps images to images; with `before`, to the input and output of the last block."""
        for i, block in enumerate(self.blocks):
            block_input = x
            x = bind(self, block, f"block{i}")(x, train=train)
        return (block_input, x) if before else x


class GroupedTrunk(StagedTrunk, nn.Module):
    """A residual network, `[N, H, W, C] -> [N, D]`: the stem and each group are a stage."""

    convolutional = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` to features `[N, D]`."""
        return self.pool(sequential(self, self.stages(), x, train))

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stem and the groups, as modules `(x, train) -> x` with separate parameters."""
        stem, *groups = self.stem_and_groups()
        return stem, *(Group(group, parent=None) for group in groups)

    @nn.nowrap
    def blocks(self) -> tuple[nn.Module, ...]:
        """The stem and the residual blocks, the finest stages of the trunk."""
        stem, *groups = self.stem_and_groups()
        return stem, *itertools.chain(*groups)

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """Maps the output of the last stage `[N, H, W, D]` to features `[N, D]`."""
        return global_average_pool(x)

    @nn.nowrap
    def stem_and_groups(self) -> Sequence:
        """The stem, and the blocks of each group."""
        raise NotImplementedError
