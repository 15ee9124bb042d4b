"""RandomTranslate: every offset happens, and only zeros come in."""

import jax
import numpy as np

from mtl_jax.augment import RandomTranslate

IMAGE = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4, 1) / 12


def shifted(down, right):
    out = np.zeros_like(IMAGE)
    for i in range(3):
        for j in range(4):
            if 0 <= i - down < 3 and 0 <= j - right < 4:
                out[i, j] = IMAGE[i - down, j - right]
    return out


def test_all_offsets_and_no_others():
    keys = jax.random.split(jax.random.key(0), 300)
    found = np.asarray(jax.jit(jax.vmap(RandomTranslate(1), (0, None)))(keys, IMAGE))
    wanted = np.stack([shifted(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    unique, counts = np.unique(found, axis=0, return_counts=True)
    np.testing.assert_array_equal(unique, np.unique(wanted, axis=0))
    assert counts.min() > 300 / 9 / 2


def test_more_pixels_than_the_image_has():
    keys = jax.random.split(jax.random.key(0), 50)
    found = np.asarray(jax.jit(jax.vmap(RandomTranslate(20), (0, None)))(keys, IMAGE))
    assert (found == 0).all((1, 2, 3)).any()
