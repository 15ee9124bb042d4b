"""Operations of CTAugment, with the ranges of its authors' code.

Each maps `(place, grey, levels, fill)` to grey levels: `place` `[2]` is uniform in [0, 1), `grey`
holds integers 0..255 in float32 `[H, W, C]`, `levels` `[2]` in [0, 1) are the positions in the
ranges of its parameters, and `fill` `[C]` is the value outside the image. Operations ignore
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
      change: `(place [2], grey [H, W, C], levels [2], fill [C]) -> grey`.
      bins: number of bins of zero, one or two parameters.

    Raises:
      BadInput: for bins that are not integers >= 1.
    """

    change: Callable[..., jax.Array]
    bins: tuple[int, ...] = (17,)

    def __post_init__(self):
        if self.bins != ():
            require_widths(self, "bins")


def identity_by(place, grey, level, fill) -> jax.Array:
    """Identity."""
    return grey


def autocontrast_by(place, grey, level, fill) -> jax.Array:
    """Blends with the autocontrasted image."""
    return blend(grey, autocontrast(grey), level[0])


def equalize_by(place, grey, level, fill) -> jax.Array:
    """Blends with the equalized image."""
    return blend(grey, pointwise.equalize(grey), level[0])


def invert_by(place, grey, level, fill) -> jax.Array:
    """Blends with the inverted image."""
    return blend(grey, pointwise.invert(grey), level[0])


def blur_by(place, grey, level, fill) -> jax.Array:
    """Blends with the blurred image."""
    return blur(grey, level[0])


def smooth_by(place, grey, level, fill) -> jax.Array:
    """Blends with the smoothed image."""
    return smooth(grey, level[0])


def brightness_by(place, grey, level, fill) -> jax.Array:
    """Multiplies the brightness by 0.1 to 2."""
    return brightness(grey, factor(level))


def color_by(place, grey, level, fill) -> jax.Array:
    """Multiplies the saturation by 0.1 to 2."""
    return color(grey, factor(level))


def contrast_by(place, grey, level, fill) -> jax.Array:
    """Multiplies the contrast by 0.1 to 2."""
    return contrast(grey, factor(level))


def sharpness_by(place, grey, level, fill) -> jax.Array:
    """Multiplies the sharpness by 0.1 to 2."""
    return sharpness(grey, factor(level))


def factor(level: jax.Array) -> jax.Array:
    """A factor from 0.1 to 2."""
    return 0.1 + 1.9 * level[0]


def cutout_by(place, grey, level, fill) -> jax.Array:
    """Fills a square of up to half the smaller side, centred on any pixel."""
    height, width, _ = grey.shape
    # An odd size covers one pixel less, as in the authors' code.
    half = (1.0 + jnp.floor(level[0] * min(height, width) * 0.499)).astype(jnp.int32) // 2

    def covered(centre: jax.Array, length: int) -> jax.Array:
        first = (centre * length).astype(jnp.int32) - half
        places = jnp.arange(length, dtype=jnp.int32)
        return (places >= first) & (places < first + 2 * half)

    both = covered(place[0], height)[:, None] & covered(place[1], width)[None]
    return jnp.where(both[..., None], fill[None, None], grey)


def posterize_by(place, grey, level, fill) -> jax.Array:
    """Keeps 1 to 8 bits."""
    return pointwise.posterize(grey, 1.0 + jnp.floor(level[0] * 7.999))


def solarize_by(place, grey, level, fill) -> jax.Array:
    """Inverts levels not below a threshold of 0 to 255."""
    return pointwise.solarize(grey, jnp.floor(level[0] * 255.999))


def rescale_by(place, grey, level, fill) -> jax.Array:
    """Crops up to a quarter of each side and resizes the rest by one of six methods."""
    method = jnp.minimum((level[1] * METHODS).astype(jnp.int32), METHODS - 1)
    return rescale(grey, 0.25 * level[0], method)


def rotate_by(place, grey, level, fill) -> jax.Array:
    """Rotates by integer degrees, up to 45 either way."""
    return geometric.rotate(grey, jnp.round(45.0 * signed(level)), fill)


def shear_x_by(place, grey, level, fill) -> jax.Array:
    """Shears rows by up to 0.3 either way."""
    return geometric.shear_x(grey, 0.3 * signed(level), fill)


def shear_y_by(place, grey, level, fill) -> jax.Array:
    """Shears columns by up to 0.3 either way."""
    return geometric.shear_y(grey, 0.3 * signed(level), fill)


def translate_x_by(place, grey, level, fill) -> jax.Array:
    """Translates by up to 0.3 of the width; the authors' code translates by 0.3 of a pixel."""
    return geometric.translate_x(grey, 0.3 * grey.shape[1] * signed(level), fill)


def translate_y_by(place, grey, level, fill) -> jax.Array:
    """Translates by up to 0.3 of the height; the authors' code translates by 0.3 of a pixel."""
    return geometric.translate_y(grey, 0.3 * grey.shape[0] * signed(level), fill)


def signed(level: jax.Array) -> jax.Array:
    """Maps a level to -1 to 1."""
    return 2.0 * level[0] - 1.0


OPERATIONS = (
    Operation(autocontrast_by),
    Operation(blur_by),
    Operation(brightness_by),
    Operation(color_by),
    Operation(contrast_by),
    Operation(cutout_by),
    Operation(equalize_by),
    Operation(invert_by),
    Operation(identity_by, ()),
    Operation(posterize_by, (8,)),
    Operation(rescale_by, (17, METHODS)),
    Operation(rotate_by),
    Operation(sharpness_by),
    Operation(shear_x_by),
    Operation(shear_y_by),
    Operation(smooth_by),
    Operation(solarize_by),
    Operation(translate_x_by),
    Operation(translate_y_by),
)
