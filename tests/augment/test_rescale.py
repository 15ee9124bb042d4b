"""Rescale: agrees with Pillow's crop and resize."""

import jax
import numpy as np
import pytest
from PIL import Image

from mtl_jax.augment.image.rescale import rescale

RESAMPLING = ["LANCZOS", "BICUBIC", "BILINEAR", "BOX", "HAMMING", "NEAREST"]


@pytest.mark.parametrize("method", range(6), ids=RESAMPLING)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.24])
def test_agrees_with_pillow(method, share):
    bytes_ = np.random.default_rng(0).integers(0, 256, (16, 21, 3)).astype(np.uint8)
    rows, columns = round(share * 16), round(share * 21)
    box = (columns, rows, 21 - columns, 16 - rows)
    image = Image.fromarray(bytes_).crop(box)
    wanted = np.asarray(image.resize((21, 16), Image.Resampling[RESAMPLING[method]])).astype(float)
    grey = bytes_.astype(np.float32)
    found = jax.jit(rescale)(grey, np.float32(share), np.int32(method))
    # Pillow's weights have 22 bits, so a rounding may fall the other way.
    assert np.abs(np.asarray(found) - wanted).max() <= 1.0
    assert (np.asarray(found) == wanted).mean() > 0.99
