"""RandAugment: some operations of a list, drawn for each image anew."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.augment.apply_sequence import in_turn, queued
from mtl_jax.augment.image.fill import fill_like, require_fill
from mtl_jax.augment.image.validation import from_levels, require_image, require_images, to_levels
from mtl_jax.core.validation import require, require_count, require_number


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Applies `count` operations, each drawn with replacement and of a strength drawn anew.

    Works on grey levels: floats are rounded to the nearest of 256 unless nothing is applied
    at all. In a loop only the operations drawn are computed, under `jax.vmap` all of them: on a
    CPU loop it (`mtl_jax.augment.batched`).

    Attributes:
      operations: of `mtl_jax.augment.image.operations`; none is the identity.
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
        require_image(self, image)
        return self.changed(in_turn, self.draw(key), image)

    def looped(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        """The call for keys `[N]` and images `[N, H, W, C]`; see `looped`."""
        require_images(self, images)
        return self.changed(queued, jax.vmap(self.draw)(keys), images)

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

    def changed(self, how: Callable, drawn: tuple, image: jax.Array) -> jax.Array:
        """An image, or many, after what was drawn; `how` is `in_turn` or `queued`."""
        if not (self.operations and self.count and self.probability):
            return image
        return applied(self.operations, how, drawn, image, fill_like(self, image))


def applied(
    operations: tuple[Callable, ...],
    how: Callable,
    drawn: tuple[jax.Array, jax.Array, jax.Array],
    image: jax.Array,
    fill: jax.Array,
) -> jax.Array:
    """Applies operations to an image, or many, as grey levels.

    Args:
      operations: `(grey, level, sign, fill) -> grey` each.
      how: `in_turn` for one image, `queued` for many.
      drawn: places among them, levels and signs, as `how` takes them.
      image: `[H, W, C]` or `[N, H, W, C]`.
      fill: what comes from outside `[C]`, of the image's type.
    """
    outside = to_levels(fill)

    def change(operation):
        return lambda grey, level, sign: operation(grey, level, sign, outside)

    place, *taken = drawn
    grey = how([change(each) for each in operations], place, tuple(taken), to_levels(image))
    return from_levels(grey, image)
