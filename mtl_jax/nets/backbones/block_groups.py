"""Trunks of a stem and groups of residual blocks."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax

from mtl_jax.core.features import Pyramid
from mtl_jax.core.trunk import DividedStage, StagedTrunk
from mtl_jax.nets.backbones.stages import bind, pool_features, pyramid


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
    """A residual network, `[N, H, W, C] -> [N, D]`: the stem and each group are a stage.

    Attributes:
      features: "vector", the mean over the pixels, which is also None; "map", the output of the
        last group `[N, H', W', D]`; or "pyramid", of the outputs of the groups the last at each
        resolution, the finest first.
    """

    features: Literal["vector", "map", "pyramid"] | None = dataclasses.field(
        default=None, kw_only=True
    )

    convolutional = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array | Pyramid:
        """Maps images `[N, H, W, C]` to features `[N, D]`, a map or a pyramid."""
        outputs = []
        for depth, stage in enumerate(self.stages()):
            x = bind(self, stage, f"stage{depth}")(x, train=train)
            outputs.append(x)
        return pyramid(outputs[1:]) if self.features == "pyramid" else self.pool(x)

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
        """Maps the output of the last stage `[N, H, W, D]` to features, a vector or a map."""
        return pool_features(self, x)

    @nn.nowrap
    def stem_and_groups(self) -> Sequence:
        """The stem, and the blocks of each group."""
        raise NotImplementedError
