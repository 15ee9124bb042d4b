"""Operations of CTAugment, with the ranges of its authors' code.

Each maps `(position, gray, levels, fill)` to gray levels: `position` `[2]` is uniform in [0, 1),
`gray` holds integers 0..255 in float32 `[H, W, C]`, `levels` `[2]` in [0, 1) are the positions in
the ranges of its parameters, and `fill` `[C]` is the value outside the image. Operations ignore
arguments that they do not need.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.augment.image import geometric, pointwise
from mtl_jax.augment.image.autocontrast import autocontrast
from mtl_jax.augment.image.blend import blend, brightness, color, contrast
from mtl_jax.augment.image.filters import blur, sharpness, smooth
from mtl_jax.augment.image.rescale import METHODS, rescale
from mtl_jax.core.validation import require_widths


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation, and the number of bins of the range of each of its parameters.

    Attributes:
      change: `(position [2], gray [H, W, C], levels [2], fill [C]) -> gray`.
      bins: number of bins of zero, one or two parameters.

    Raises:
      BadInput: for bins that are not integers >= 1.
    """

    change: Callable[..., jax.Array]
    bins: tuple[int, ...] = (17,)

    def __post_init__(self):
        if self.bins != ():
            require_widths(self, "bins")


def identity_op(position, gray, level, fill) -> jax.Array:
    """Identity."""
    return gray


def autocontrast_op(position, gray, level, fill) -> jax.Array:
    """Blends with the autocontrasted image."""
    return blend(gray, autocontrast(gray), level[0])


def equalize_op(position, gray, level, fill) -> jax.Array:
    """Blends with the equalized image."""
    return blend(gray, pointwise.equalize(gray), level[0])


def invert_op(position, gray, level, fill) -> jax.Array:
    """Blends with the inverted image."""
    return blend(gray, pointwise.invert(gray), level[0])


def blur_op(position, gray, level, fill) -> jax.Array:
    """Blends with the blurred image."""
    return blur(gray, level[0])


def smooth_op(position, gray, level, fill) -> jax.Array:
    """Blends with the smoothed image."""
    return smooth(gray, level[0])


def brightness_op(position, gray, level, fill) -> jax.Array:
    """Multiplies the brightness by 0.1 to 2."""
    return brightness(gray, factor(level))


def color_op(position, gray, level, fill) -> jax.Array:
    """Multiplies the saturation by 0.1 to 2."""
    return color(gray, factor(level))


def contrast_op(position, gray, level, fill) -> jax.Array:
    """Multiplies the contrast by 0.1 to 2."""
    return contrast(gray, factor(level))


def sharpness_op(position, gray, level, fill) -> jax.Array:
    """Multiplies the sharpness by 0.1 to 2."""
    return sharpness(gray, factor(level))


def factor(level: jax.Array) -> jax.Array:
    """A factor from 0.1 to 2."""
    return 0.1 + 1.9 * level[0]


def cutout_op(position, gray, level, fill) -> jax.Array:
    """Fills a square of up to half the smaller side, centred on any pixel."""
    height, width, _ = gray.shape
    # An odd size covers one pixel less, as in the authors' code.
    half = (1.0 + jnp.floor(level[0] * min(height, width) * 0.499)).astype(jnp.int32) // 2

    def interval_mask(center: jax.Array, length: int) -> jax.Array:
        first = (center * length).astype(jnp.int32) - half
        pixels = jnp.arange(length, dtype=jnp.int32)
        return (pixels >= first) & (pixels < first + 2 * half)

    mask = interval_mask(position[0], height)[:, None] & interval_mask(position[1], width)[None]
    return jnp.where(mask[..., None], fill[None, None], gray)


def posterize_op(position, gray, level, fill) -> jax.Array:
    """Keeps 1 to 8 bits."""
    return pointwise.posterize(gray, 1.0 + jnp.floor(level[0] * 7.999))


def solarize_op(position, gray, level, fill) -> jax.Array:
    """Inverts levels not below a threshold of 0 to 255."""
    return pointwise.solarize(gray, jnp.floor(level[0] * 255.999))


def rescale_op(position, gray, level, fill) -> jax.Array:
    """Crops up to a quarter of each side and resizes the rest by one of six methods."""
    method = jnp.minimum((level[1] * METHODS).astype(jnp.int32), METHODS - 1)
    return rescale(gray, 0.25 * level[0], method)


def rotate_op(position, gray, level, fill) -> jax.Array:
    """Rotates by integer degrees, up to 45 either way."""
    return geometric.rotate(gray, jnp.round(45.0 * to_signed(level)), fill)


def shear_x_op(position, gray, level, fill) -> jax.Array:
    """Shears rows by up to 0.3 either way."""
    return geometric.shear_x(gray, 0.3 * to_signed(level), fill)


def shear_y_op(position, gray, level, fill) -> jax.Array:
    """Shears columns by up to 0.3 either way."""
    return geometric.shear_y(gray, 0.3 * to_signed(level), fill)


def translate_x_op(position, gray, level, fill) -> jax.Array:
    """Translates by up to 0.3 of the width; the authors' code translates by 0.3 of a pixel."""
    return geometric.translate_x(gray, 0.3 * gray.shape[1] * to_signed(level), fill)


def translate_y_op(position, gray, level, fill) -> jax.Array:
    """Translates by up to 0.3 of the height; the authors' code translates by 0.3 of a pixel."""
    return geometric.translate_y(gray, 0.3 * gray.shape[0] * to_signed(level), fill)


def to_signed(level: jax.Array) -> jax.Array:
    """Maps a level to -1 to 1."""
    return 2.0 * level[0] - 1.0


OPERATIONS = (
    Operation(autocontrast_op),
    Operation(blur_op),
    Operation(brightness_op),
    Operation(color_op),
    Operation(contrast_op),
    Operation(cutout_op),
    Operation(equalize_op),
    Operation(invert_op),
    Operation(identity_op, ()),
    Operation(posterize_op, (8,)),
    Operation(rescale_op, (17, METHODS)),
    Operation(rotate_op),
    Operation(sharpness_op),
    Operation(shear_x_op),
    Operation(shear_y_op),
    Operation(smooth_op),
    Operation(solarize_op),
    Operation(translate_x_op),
    Operation(translate_y_op),
)
