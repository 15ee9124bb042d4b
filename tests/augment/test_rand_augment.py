"""RandAugment: how often which operation comes, how it runs, and the two published forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mtl_jax.augment import (
    Chain,
    Cutout,
    RandAugment,
    RandomTranslate,
    randaugment_fixmatch,
    randaugment_usb,
)
from mtl_jax.augment.image import operations
from mtl_jax.core.validation import BadInput

KEYS = jax.random.split(jax.random.key(0), 4000)
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 12, 10, 3)).astype(np.uint8)
THREE = (operations.Invert(), operations.Rotate(), operations.Solarize())


def draws(policy):
    """Places, levels and signs, `[N, count]` each."""
    return map(np.asarray, jax.jit(jax.vmap(policy.sample))(KEYS))


def mapped(policy, keys, images):
    return jax.jit(lambda k, x: jax.lax.map(lambda pair: policy(*pair), (k, x)))(keys, images)


def test_operations_come_with_their_probability_and_are_drawn_apart():
    place, level, sign = draws(RandAugment(THREE, num_ops=2, probability=0.6))
    shares = np.array([(place == i).mean(0) for i in range(4)])
    np.testing.assert_allclose(shares[:3], 0.2, atol=0.03)
    np.testing.assert_allclose(shares[3], 0.4, atol=0.03)  # none of the three.
    assert abs(np.corrcoef(place.T)[0, 1]) < 0.06
    assert abs((sign > 0).mean() - 0.5) < 0.03
    assert level.min() >= 0.0 and level.max() < 1.0
    np.testing.assert_allclose(np.histogram(level, 5)[0] / level.size, 0.2, atol=0.03)


def test_ten_levels_are_one_to_nine_tenths():
    _, level, _ = draws(RandAugment(THREE, num_ops=2, num_magnitude_bins=10))
    values, counts = np.unique(level, return_counts=True)
    np.testing.assert_allclose(values, np.arange(1, 10) / 10, rtol=1e-6)
    np.testing.assert_allclose(counts / level.size, 1 / 9, atol=0.02)


def test_one_operation_is_applied_as_often_as_said():
    policy = RandAugment((operations.Invert(),), num_ops=1, probability=0.25)
    out = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, IMAGES[0]))
    inverted = (out == 255 - IMAGES[0]).all((1, 2, 3))
    assert (inverted | (out == IMAGES[0]).all((1, 2, 3))).all()
    assert abs(inverted.mean() - 0.25) < 0.03


def test_the_number_of_operations_counts():
    policy = RandAugment((operations.Invert(),), num_ops=3)
    np.testing.assert_array_equal(jax.jit(policy)(KEYS[0], IMAGES[0]), 255 - IMAGES[0])


@pytest.mark.slow
def test_mapped_vmapped_or_on_four_devices_it_is_one_image():
    several = (operations.AutoContrast(), operations.Equalize(), operations.Rotate())
    several += (operations.Sharpness(), operations.Contrast())
    policy = Chain((RandAugment(several), Cutout(0.5, fill=0.2, random=True)))
    keys = KEYS[: len(IMAGES)]
    one = np.asarray(mapped(policy, keys, IMAGES))
    many = jax.jit(jax.vmap(policy))
    np.testing.assert_array_equal(one, many(keys, IMAGES))
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    spread = NamedSharding(mesh, PartitionSpec("batch"))
    four = many(jax.device_put(keys, spread), jax.device_put(IMAGES, spread))
    assert len(four.sharding.device_set) == 4
    np.testing.assert_array_equal(one, four)
    assert len(np.unique(one, axis=0)) == len(one)


@pytest.mark.parametrize("shape", [(5, 8, 1), (8, 5, 2)], ids=str)
def test_any_number_of_channels(shape):
    image = jax.ShapeDtypeStruct(shape, np.uint8)
    for policy in (randaugment_fixmatch(), randaugment_usb(fill=0.5)):
        assert jax.eval_shape(policy, KEYS[0], image) == image


def test_an_operation_may_name_its_arguments_as_it_likes():
    policy = RandAugment((lambda image, how_much, way, outside: image * 0.0 + outside[None, None],))
    out = jax.jit(policy)(KEYS[0], np.zeros((4, 4, 3), np.uint8))
    assert (np.asarray(out) == 128).all()


def test_usb_paints_its_colour_and_fills_with_black():
    image = np.full((32, 32, 3), 255, np.uint8)
    rand, cutout = randaugment_usb().policies
    out = np.asarray(jax.jit(jax.vmap(cutout, (0, None)))(KEYS[:64], image))
    assert set(map(tuple, np.unique(out.reshape(-1, 3), axis=0))) == {(125, 123, 114), (255,) * 3}
    turn = dataclasses.replace(rand, operations=(operations.TranslateX(),), num_ops=1)
    out = np.asarray(jax.jit(jax.vmap(turn, (0, None)))(KEYS[:64], image))
    assert set(np.unique(out)) == {0, 255}


def test_fixmatch_covers_half_of_the_side_with_grey():
    cutout = randaugment_fixmatch().policies[1]
    image = np.zeros((32, 32, 1), np.float32)
    out = np.asarray(jax.jit(jax.vmap(cutout, (0, None)))(KEYS[:300], image))
    assert set(np.unique(out)) == {0.0, 0.5}
    assert (out > 0).any(2).sum((1, 2)).max() == 16


def test_who_pays_for_branches_says_so():
    policy = RandAugment(THREE)
    assert policy.has_branches and Chain((RandomTranslate(1), Chain((policy,)))).has_branches
    assert not Chain((RandomTranslate(1), Cutout(2))).has_branches
    assert "has_branches" not in repr(policy)


def test_a_fill_for_each_channel_must_fit():
    policy = RandAugment(THREE, fill=(0.1, 0.2))
    with pytest.raises(ValueError, match=r"RandAugment\.fill has 2 numbers, the image 3 channels"):
        policy(KEYS[0], jnp.zeros((4, 4, 3)))


@pytest.mark.parametrize(
    "setting",
    [
        {"num_magnitude_bins": 1},
        {"fill": (0.1, "a")},
    ],
    ids=str,
)
def test_settings_are_checked(setting):
    with pytest.raises(BadInput, match=rf"RandAugment\.{next(iter(setting))} must"):
        RandAugment(**{"operations": THREE} | setting)
