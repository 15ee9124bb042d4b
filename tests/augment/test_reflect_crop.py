"""ReflectCrop: every offset happens, and the mirror image comes in; the recipe around it."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import Chain, Flip, ReflectCrop, weak_crop_flip

IMAGE = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4, 1) / 12


@pytest.mark.parametrize("pixels", [1, 2, 5])
def test_all_crops_of_the_padded_image_and_no_others(pixels):
    keys = jax.random.split(jax.random.key(0), 40 * (2 * pixels + 1) ** 2)
    found = np.asarray(jax.jit(jax.vmap(ReflectCrop(pixels), (0, None)))(keys, IMAGE))
    padded = np.pad(IMAGE, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
    sides = range(2 * pixels + 1)
    wanted = np.stack([padded[i : i + 3, j : j + 4] for i in sides for j in sides])
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(wanted, axis=0))


def test_a_single_row_is_its_own_mirror_image():
    keys = jax.random.split(jax.random.key(0), 20)
    found = jax.vmap(ReflectCrop(2), (0, None))(keys, np.full((1, 1, 3), 0.5, np.float32))
    assert (np.asarray(found) == 0.5).all()


@pytest.mark.parametrize("pixels", [0, 2])
def test_flipped_it_is_a_chain_of_both(pixels):
    keys = jax.random.split(jax.random.key(0), 40)
    found, wanted = (
        np.asarray(jax.jit(jax.vmap(policy, (0, None)))(keys, IMAGE))
        for policy in (ReflectCrop(pixels, 0.3), Chain((Flip(0.3), ReflectCrop(pixels))))
    )
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(found, axis=0)) > (2 * pixels + 1) ** 2 // 2


@pytest.mark.slow
def test_always_flipped_it_is_the_mirror_image():
    keys = jax.random.split(jax.random.key(0), 4)
    found = jax.vmap(ReflectCrop(0, flip=1.0), (0, None))(keys, IMAGE)
    np.testing.assert_array_equal(found, np.stack([IMAGE[:, ::-1]] * 4))


def test_the_recipe():
    assert weak_crop_flip() == ReflectCrop(4, flip=0.5)
    assert weak_crop_flip(12, flip=False) == ReflectCrop(12)
