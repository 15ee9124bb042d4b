"""Policies of signals that move times: where each time comes from, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment.signal import Permutation, RandomCrop, TimeShift, TimeWarp, WindowSlice
from mtl_jax.augment.signal.permutation import source_times
from mtl_jax.augment.signal.resample import resample, stretch
from mtl_jax.augment.signal.time_warp import warped_times

KEYS = jax.random.split(jax.random.key(0), 300)
# The value is the time, so what comes out says where it was read; the second channel is twice it.
TIMES = np.arange(11, dtype=np.float32)[:, None] * np.float32([[1.0, 2.0]])


def over(policy):
    out = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, TIMES))
    np.testing.assert_allclose(out[..., 1], 2 * out[..., 0], atol=1e-4)
    return out[..., 0]


def test_reading_between_times():
    signal = jnp.array([[0.0], [2.0], [6.0]])
    found = resample(signal, jnp.array([-1.0, 0.25, 1.0, 1.5, 2.0, 9.0]))
    np.testing.assert_allclose(found[:, 0], [0.0, 0.5, 2.0, 4.0, 6.0, 6.0])  # by hand


def test_stretching_a_part():
    found = stretch(jnp.asarray(TIMES), jnp.float32(2.0), jnp.float32(5.0))[:, 0]
    np.testing.assert_allclose(found, 2.0 + 0.5 * np.arange(11), rtol=1e-6)  # by hand


def test_window_slice_has_one_length_and_every_place():
    found = over(WindowSlice(0.2))
    np.testing.assert_allclose(found[:, -1] - found[:, 0], 8.0, atol=1e-4)
    assert 0.0 <= found[:, 0].min() < 0.1 and 1.9 < found[:, 0].max() <= 2.0


def test_random_crop_has_every_length():
    found = over(RandomCrop(0.4))
    spans = found[:, -1] - found[:, 0]
    assert 6.0 - 1e-4 <= spans.min() < 6.2 and 9.8 < spans.max() <= 10.0
    np.testing.assert_allclose(np.diff(found), np.repeat(spans[:, None] / 10, 10, 1), atol=1e-4)
    assert found[:, 0].min() < 0.1 and found[:, -1].max() > 9.9


def test_warped_times_follow_the_speed():
    speed = jnp.array([1.0, 1.0, 3.0, 3.0])
    # Steps 1, 2 and 3, scaled to end at 3, by hand.
    np.testing.assert_allclose(warped_times(speed), [0.0, 0.5, 1.5, 3.0])
    np.testing.assert_allclose(warped_times(jnp.full(4, -7.0)), [0.0, 1.0, 2.0, 3.0], rtol=1e-6)


def test_time_warp_keeps_the_ends_and_the_order():
    found = over(TimeWarp(0.5))
    np.testing.assert_allclose(found[:, [0, -1]], [[0.0, 10.0]] * len(KEYS), atol=1e-4)
    assert np.diff(found).min() > 0.0
    assert np.abs(found - TIMES[:, 0]).max() > 1.0
    assert np.abs(found.mean(0) - TIMES[:, 0]).max() < 0.3, "neither sooner nor later on average"


@pytest.mark.parametrize(
    ("cuts", "order", "wanted"),
    [
        ([2, 3], [2, 0, 1], [3, 4, 5, 0, 1, 2]),  # by hand: 012345 in 01 2 345
        ([2, 2], [1, 2, 0], [2, 3, 4, 5, 0, 1]),  # the middle one is empty
        ([0, 6], [2, 1, 0], [0, 1, 2, 3, 4, 5]),  # only the middle one is not
    ],
)
def test_segments_in_another_order(cuts, order, wanted):
    found = source_times(jnp.array(cuts), jnp.array(order), 6)
    np.testing.assert_array_equal(found, wanted)


def test_permutation_keeps_every_value_and_most_neighbours():
    found = over(Permutation(3))
    np.testing.assert_array_equal(np.sort(found), np.broadcast_to(TIMES[:, 0], found.shape))
    assert ((np.diff(found) != 1).sum(1) <= 2).all()
    assert (found[:, 0] != 0).mean() > 0.4


@pytest.mark.parametrize("circular", [True, False])
def test_time_shift(circular):
    found = over(TimeShift(2, circular))
    wanted = [np.roll(TIMES[:, 0], shift) for shift in range(-2, 3)]
    if not circular:
        wanted[0][-2:] = wanted[1][-1:] = wanted[3][:1] = wanted[4][:2] = 0.0
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(wanted, axis=0))


def test_a_shift_longer_than_the_signal():
    found = over(TimeShift(40, circular=False))
    assert (found == 0.0).all(1).any()
