"""Policies of signals that change values: moments of their draws, and what they share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment.signal import FrequencyMask, Jitter, MagnitudeWarp, Scaling, TimeMask
from mtl_jax.augment.signal.random_curve import sample_curves, spline_basis

KEYS = jax.random.split(jax.random.key(0), 500)
ONES = np.ones((20, 3), np.float32)


def over(policy, signal=ONES):
    return np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, signal))


def test_jitter_is_independent_noise_of_its_sigma():
    noise = over(Jitter(0.5)) - ONES
    np.testing.assert_allclose(noise.std(0), 0.5, atol=0.08)
    assert abs(np.corrcoef(noise[:, 0, 0], noise[:, 1, 0])[0, 1]) < 0.15


def test_scaling_has_one_factor_a_channel():
    factor = over(Scaling(0.5))
    np.testing.assert_array_equal(factor, np.broadcast_to(factor[:, :1], factor.shape))
    np.testing.assert_allclose(factor[:, 0].mean(0), 1.0, atol=0.1)
    np.testing.assert_allclose(factor[:, 0].std(0), 0.5, atol=0.08)
    assert (factor[:, 0, 0] != factor[:, 0, 1]).all()


def test_curves_pass_through_their_draws():
    like = jnp.zeros((9, 1))
    drawn = sample_curves(KEYS[0], like, 0.5, 3, 2)
    knots = 1.0 + 0.5 * jax.random.normal(KEYS[0], (5, 2))
    np.testing.assert_allclose(drawn[::2], knots, atol=1e-6)  # by hand: at 0, 2, 4, 6 and 8


def test_splines_of_no_knots_are_lines_and_add_up_to_one():
    np.testing.assert_allclose(spline_basis(5, 0)[:, 1], [0.0, 0.25, 0.5, 0.75, 1.0])  # by hand
    np.testing.assert_allclose(spline_basis(17, 4).sum(1), 1.0)


def test_magnitude_warp_multiplies_each_channel_by_its_curve():
    signal = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    curve = sample_curves(KEYS[0], signal, 0.2, 4, 2)
    np.testing.assert_allclose(MagnitudeWarp(0.2, 4)(KEYS[0], signal), signal * curve, atol=1e-6)
    assert np.abs(np.diff(curve, axis=0)).max() < 0.3 and np.ptp(curve[:, 0] - curve[:, 1]) > 0.1


def test_frequency_mask_takes_out_whole_frequencies_for_all_channels():
    times = np.arange(20)[:, None] / 20
    waves = np.cos(2 * np.pi * times * [[3]]) + 2.0 * np.cos(2 * np.pi * times * [[7]]) + 5.0
    signal = np.concatenate([waves, 2 * waves], 1).astype(np.float32)
    found = np.fft.rfft(over(FrequencyMask(0.3), signal), axis=1) / 10  # amplitudes, by hand
    np.testing.assert_allclose(found[:, 0], [[10.0, 20.0]] * len(KEYS), atol=1e-4)
    for place, amplitude in ((3, 1.0), (7, 2.0)):
        lost = np.abs(found[:, place, 0]) < 1e-4
        np.testing.assert_allclose(found[~lost, place, 0], amplitude, atol=1e-4)
        np.testing.assert_allclose(found[:, place, 1], 2 * found[:, place, 0], atol=1e-4)
        assert abs(lost.mean() - 0.3) < 0.08


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_time_mask_covers_one_stretch_of_any_width_up_to_its_own(steps):
    covered = over(TimeMask(steps, fill=-2.0)) == -2.0
    np.testing.assert_array_equal(covered[..., 0], covered[..., 2])
    covered = covered[..., 0]
    edges = np.abs(np.diff(covered.astype(int), axis=1)).sum(1) + covered[:, 0] + covered[:, -1]
    assert set(edges) == {0, 2}
    assert set(covered.sum(1)) == set(range(min(steps, 20) + 1))
    assert covered.any(0).all()
