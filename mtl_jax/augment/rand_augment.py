"""RandAugment: some operations of a list, drawn for each image anew."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.augment.fill import fill_like, require_fill
from mtl_jax.augment.image import from_levels, require_image, to_levels
from mtl_jax.checks import require, require_count, require_number


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Applies `count` operations, each drawn with replacement and of a strength drawn anew.

    Works on grey levels: floats are rounded to the nearest of 256 unless nothing is applied
    at all. In a loop only the operations drawn are computed, under `jax.vmap` all of them: on a
    CPU loop it (`mtl_jax.augment.looped`).

    Attributes:
      operations: of `mtl_jax.augment.operations`; none is the identity.
      count: how many are applied, one after the other.
      probability: of each to be applied at all.
      levels: strengths are 1, 2, ... `levels - 1` out of `levels`; 0 has them uniform in [0, 1).
      fill: what comes from outside of the image, in [0, 1]; or one for each channel.

    Raises:
      BadInput: for a setting outside its range.

    Reference: Cubuk et al., RandAugment, 2019, Section 3, whose strength is one for all
      (https://arxiv.org/abs/1909.13719); drawn as in Sohn et al., FixMatch, NeurIPS 2020,
      Section 2.3 (https://arxiv.org/abs/2001.07685).
    """

    operations: tuple[Callable, ...]
    count: int = 2
    probability: float = 1.0
    levels: int = 0
    fill: float | tuple[float, ...] = 0.5

    branches = True  # Only what is drawn is paid for, if it is not vmapped.

    def __post_init__(self):
        fine = isinstance(self.operations, tuple) and all(map(callable, self.operations))
        require(fine, self, "operations", "must be a tuple of operations", self.operations)
        require_count(self, count=0, levels=0)
        require(self.levels != 1, self, "levels", "must be 0, or 2 or more", self.levels)
        require_number(self, probability=(0.0, 1.0))
        require_fill(self)

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        return self.apply(self.draw(key), image)

    def draw(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Which operation, how strong and which way, `[count]` each."""
        draw = jax.random.uniform(key, (4, self.count), jnp.float32)
        number = len(self.operations)
        place = jnp.minimum((draw[0] * number).astype(jnp.int32), number - 1)
        place = jnp.where(draw[1] < self.probability, place, number)
        level = draw[2]
        if self.levels:
            level = (1.0 + jnp.floor(level * (self.levels - 1))) / self.levels
        return place, level, jnp.where(draw[3] < 0.5, -1.0, 1.0)

    def apply(self, drawn: tuple, image: jax.Array) -> jax.Array:
        """Maps what was drawn and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        if not (self.operations and self.count and self.probability):
            return image
        fill = to_levels(fill_like(self, image))
        return from_levels(applied(self.operations, drawn, to_levels(image), fill), image)


def applied(
    operations: tuple[Callable, ...],
    draws: tuple[jax.Array, jax.Array, jax.Array],
    grey: jax.Array,
    fill: jax.Array,
) -> jax.Array:
    """Applies operations one after the other.

    Args:
      operations: what there is to choose from.
      draws: places among them, levels and signs `[steps]` each; a place beyond is none.
      grey: grey levels `[H, W, C]`.
      fill: grey levels `[C]` of what comes from outside.
    """

    def step(grey, draw):
        place, level, sign = draw
        return jax.lax.switch(place, (*operations, unchanged), grey, level, sign, fill), None

    # As a loop the operations are compiled once; unrolled it is no faster.
    return jax.lax.scan(step, grey, draws)[0]


def unchanged(grey, level, sign, fill) -> jax.Array:
    """Grey levels as they are."""
    return grey
