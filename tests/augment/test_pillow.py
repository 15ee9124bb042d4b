"""Operations against Pillow: 200 images of each size, from noise to smooth ones.

All but the geometric ones agree to the last level.
"""

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from mtl_jax.augment.image import autocontrast, blend, filters, geometric, pointwise

FILL = (10, 20, 30)
SIZES = [(32, 32, 3), (27, 19, 3), (27, 19, 1)]
FACTORS = (0.0, 0.05, 0.37, 0.73, 1.0, 1.31, 1.9)
SHARES = (0.0, 0.3, 0.77, 1.0)


def pictures(height, width, channels):
    """100 images of noise and 100 smooth ones, half of either in a narrow range of levels."""
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (100, height, width, channels))
    coarse = draw.integers(0, 256, (100, 5, 4, channels)).astype(np.uint8)
    smooth = [
        [Image.fromarray(part).resize((width, height), 3) for part in np.moveaxis(image, 2, 0)]
        for image in coarse
    ]
    both = np.concatenate([noise, np.moveaxis(np.array(smooth, int), 1, 3)])
    low = draw.integers(0, 100, (100, 1, 1, channels))
    both[::2] = low + both[::2] * draw.integers(0, 156, (100, 1, 1, channels)) // 255
    return both.astype(np.uint8)


PICTURES = {size: pictures(*size) for size in SIZES}


def pillow(function, images, amount):
    """What Pillow makes of images, `[N, H, W, C]`."""
    images = images[..., 0] if images.shape[3] == 1 else images
    out = np.array([function(Image.fromarray(image), amount) for image in images], np.float32)
    return out[..., None] if out.ndim == 3 else out


def ours(function):
    """The operation on many images at once: `(images, amount, ...)`."""

    @jax.jit
    def many(images, *settings):
        return jax.vmap(lambda image: function(image, *settings))(images)

    return lambda images, amount, *fill: np.asarray(
        many(images.astype(np.float32), np.float32(amount), *fill)
    )


def enhanced(enhancer):
    return lambda image, factor: enhancer(image).enhance(factor)


def mixed(kind):
    return lambda image, share: Image.blend(image, image.filter(kind), share)


def placed(place):
    def moved(image, amount):
        return image.transform(
            image.size, Image.Transform.AFFINE, place(amount), fillcolor=fill(image)
        )

    return moved


def fill(image):
    return FILL if image.mode == "RGB" else FILL[0]


def alone(function):
    return lambda grey, amount: function(grey)


LEVELS = {
    "autocontrast": (alone(autocontrast.autocontrast), lambda i, a: ImageOps.autocontrast(i), [0]),
    "equalize": (alone(pointwise.equalize), lambda i, a: ImageOps.equalize(i), [0]),
    "invert": (alone(pointwise.invert), lambda i, a: ImageOps.invert(i), [0]),
    "posterize": (pointwise.posterize, ImageOps.posterize, (1, 3, 4, 7, 8)),
    "solarize": (pointwise.solarize, ImageOps.solarize, (0, 25.6, 128, 230.4, 256)),
    "brightness": (blend.brightness, enhanced(ImageEnhance.Brightness), FACTORS),
    "contrast": (blend.contrast, enhanced(ImageEnhance.Contrast), FACTORS),
    "color": (blend.color, enhanced(ImageEnhance.Color), FACTORS),
    "sharpness": (filters.sharpness, enhanced(ImageEnhance.Sharpness), FACTORS),
    "smooth": (filters.smooth, mixed(ImageFilter.SMOOTH), SHARES),
    "blur": (filters.blur, mixed(ImageFilter.BLUR), SHARES),
}

PLACES = {
    "rotate": (geometric.rotate, lambda i, a: i.rotate(a, fillcolor=fill(i)), (0, 3, -17.3, 30)),
    "turn": (geometric.rotate, lambda i, a: i.rotate(a, fillcolor=fill(i)), (90, 180, -135)),
    "shear_x": (geometric.shear_x, placed(lambda s: (1, s, 0, 0, 1, 0)), (0.03, -0.17, 0.3)),
    "shear_y": (geometric.shear_y, placed(lambda s: (1, 0, 0, s, 1, 0)), (0.03, -0.17, 0.3)),
    "translate_x": (geometric.translate_x, placed(lambda p: (1, 0, p, 0, 1, 0)), (1, -4, 9.6, 99)),
    "translate_y": (geometric.translate_y, placed(lambda p: (1, 0, 0, 0, 1, p)), (1, -4, 9.6, 99)),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_the_same(name, size):
    function, theirs, amounts = LEVELS[name]
    images, many = PICTURES[size], ours(function)
    for amount in amounts:
        found, wanted = many(images, amount), pillow(theirs, images, amount)
        np.testing.assert_array_equal(found, wanted, err_msg=f"{name} by {amount}")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PLACES)
def test_places_are_the_same_but_for_ties(name, size):
    function, theirs, amounts = PLACES[name]
    images, many = PICTURES[size], ours(function)
    for amount in amounts:
        found = many(images, amount, np.array(FILL[: size[2]], np.float32))
        apart = np.abs(found - pillow(theirs, images, amount)).mean((1, 2, 3))
        # Two levels would be fine; half a pixel off is far more in images of noise.
        assert apart.max() < 0.2, f"{name} by {amount}: {apart.max()}"
