"""Mixing of pairs of images: mixup and CutMix."""

import jax
import jax.numpy as jnp


def mixup(first: jax.Array, second: jax.Array, ratio: jax.Array) -> jax.Array:
    """Mixes images, `r x + (1 - r) x'`.

    Args:
      first: floats `[N, ...]`.
      second: floats `[N, ...]`.
      ratio: weight of the first, `[N]`.

    Returns:
      The mixed images `[N, ...]`.

    Reference: Zhang et al., mixup, ICLR 2018, Eq. 1 (https://arxiv.org/abs/1710.09412).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> augment.mixup(jnp.ones((1, 2)), jnp.zeros((1, 2)), jnp.array([0.75])).tolist()
      [[0.75, 0.75]]
    """
    weight = ratio.astype(first.dtype).reshape(-1, *(1,) * (first.ndim - 1))
    return weight * first + (1.0 - weight) * second


def cutmix(
    key: jax.Array, first: jax.Array, second: jax.Array, ratio: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Pastes a rectangle of the second image into the first.

    The sides of the rectangle are `sqrt(1 - r)` of the image's, its centre is any pixel, and the
    part beyond the border is cut off.

    Args:
      key: for the positions, `[]`.
      first: `[N, H, W, C]`.
      second: `[N, H, W, C]`.
      ratio: requested fraction of the first, `[N]`.

    Returns:
      The mixed images, and the actual fraction of the first, `[N]`.

    Reference: Yun et al., CutMix, ICCV 2019, Eqs. 1 and 2 (https://arxiv.org/abs/1905.04899).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> first, second = jnp.ones((1, 4, 4, 1)), jnp.zeros((1, 4, 4, 1))
      >>> mixed, fraction = jax.jit(augment.cutmix)(jax.random.key(0), first, second, jnp.array([0.5]))
      >>> mixed.reshape(-1).tolist().count(1.0) / 16 == fraction.item()
      True
    """
    rows, columns = sample_rectangles(key, ratio, *first.shape[1:3])
    pasted = rows[:, :, None] & columns[:, None, :]
    first_fraction = 1.0 - pasted.mean((1, 2), dtype=ratio.dtype)
    return jnp.where(pasted[..., None], second, first), first_fraction


def sample_rectangles(
    key: jax.Array, ratio: jax.Array, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    """Masks of the rows `[N, height]` and columns `[N, width]` of rectangles, as in `cutmix`."""
    side = jnp.sqrt(1.0 - ratio)
    uniform = jax.random.uniform(key, (2, *ratio.shape), ratio.dtype)
    rows = interval_mask(jnp.floor(uniform[0] * height), side * height, height)
    return rows, interval_mask(jnp.floor(uniform[1] * width), side * width, width)


def sample_inner_rectangles(
    key: jax.Array, area: jax.Array, aspect: float, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    """Masks of the rows `[N, height]` and columns `[N, width]` of rectangles inside images.

    Args:
      key: for shapes and positions, `[]`.
      area: fractions of the image, `[N]`; 0 is no rectangle.
      aspect: the ratio r of the sides, relative to the image's, is log-uniform in
        `[1 / aspect, aspect]`, as far as the rectangle fits into the image.
      height: of the images.
      width: of the images.
    """
    uniform = jax.random.uniform(key, (3, *area.shape), area.dtype)
    widest = jnp.minimum(aspect, 1.0 / jnp.where(area > 0, area, 1.0))
    root = widest ** (uniform[0] - 0.5)  # Of r.
    side = jnp.sqrt(area)
    rows = inner_interval_mask(side * root, uniform[1], height)
    return rows, inner_interval_mask(side / root, uniform[2], width)


def inner_interval_mask(fraction: jax.Array, position: jax.Array, size: int) -> jax.Array:
    """Mask `[N, size]` of intervals of a fraction `[N]` of a side, at positions `[N]` in [0, 1)."""
    pixels = jnp.arange(size, dtype=position.dtype)[None]
    length = jnp.round(fraction * size)[:, None]
    low = jnp.floor(position[:, None] * (size - length + 1.0))
    return (pixels >= low) & (pixels < low + length)


def interval_mask(center: jax.Array, length: jax.Array, size: int) -> jax.Array:
    """Mask `[N, size]` of intervals with centres `[N]` and lengths `[N]` along a side."""
    pixels = jnp.arange(size, dtype=center.dtype)
    low = jnp.round(center - length / 2)[:, None]
    return (pixels[None] >= low) & (pixels[None] < low + jnp.round(length)[:, None])
