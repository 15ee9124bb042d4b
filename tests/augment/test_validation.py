"""The door: grey levels of floats and of bytes, there and back."""

import numpy as np
import pytest

from mtl_jax.augment.image.validation import from_levels, to_levels

BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_levels_there_and_back(variant, dtype):
    image = BYTES if dtype == "uint8" else (BYTES / 255).astype(dtype)
    levels = variant(to_levels)(image)
    assert levels.dtype == np.float32
    np.testing.assert_array_equal(levels, BYTES)
    back = variant(from_levels)(levels, image)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, image, rtol=1e-6)


def test_floats_go_to_the_nearest_level(variant):
    image = np.array([0.4, 0.6, 2.49, 254.51], np.float32).reshape(2, 2, 1) / 255
    np.testing.assert_array_equal(variant(to_levels)(image).reshape(-1), [0, 1, 2, 255])
