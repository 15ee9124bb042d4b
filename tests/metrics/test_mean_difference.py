"""Differences of means: SciPy's t-tests on random numbers, and what has no variation."""

import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics import mean_difference


def agrees(found, reference, difference, confidence=0.95):
    interval = reference.confidence_interval(confidence)
    np.testing.assert_allclose(found.mean, difference, rtol=1e-12)
    bounds = [found.mean - found.half_width, found.mean + found.half_width]
    np.testing.assert_allclose(bounds, interval, rtol=1e-9)
    np.testing.assert_allclose(found.p_value, reference.pvalue, rtol=1e-9)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 20])
def test_paired_is_scipys_ttest_rel(num_seeds):
    rng = np.random.default_rng(num_seeds)
    a, b = rng.normal(70.0, 3.0, num_seeds), rng.normal(72.0, 1.0, num_seeds)
    difference = (b - a).mean()
    agrees(mean_difference(b, a, paired=True), stats.ttest_rel(b, a), difference)
    agrees(mean_difference(b, a, True, 0.8), stats.ttest_rel(b, a), difference, 0.8)


@pytest.mark.parametrize(("num_a", "num_b"), [(2, 2), (5, 3), (3, 10), (20, 20)])
def test_unpaired_is_scipys_welch_test(num_a, num_b):
    rng = np.random.default_rng(num_a)
    a, b = rng.normal(70.0, 3.0, num_a), rng.normal(72.0, 1.0, num_b)
    reference = stats.ttest_ind(b, a, equal_var=False)
    agrees(mean_difference(b, a, paired=False), reference, b.mean() - a.mean())


@pytest.mark.parametrize("paired", [True, False])
def test_without_variation(paired):
    same, other = np.array([2.0, 2.0, 2.0]), np.array([3.0, 3.0, 3.0])
    assert mean_difference(same, same, paired) == (0.0, 0.0, 1.0)
    assert mean_difference(other, same, paired) == (1.0, 0.0, 0.0)


def test_one_run_without_variation():
    values, baselines = np.array([3.0, 3.0, 3.0]), np.array([1.0, 2.0, 3.0])
    # Welch's degrees of freedom are those of the other run: t_2(0.975) = 4.302653.
    mean, half_width, _ = mean_difference(values, baselines, paired=False)
    np.testing.assert_allclose((mean, half_width), (1.0, 4.302653 / np.sqrt(3.0)), rtol=1e-6)


@pytest.mark.parametrize("paired", [True, False])
def test_a_single_seed_has_no_interval(paired):
    mean, *rest = mean_difference(np.array([3.0]), np.array([1.0]), paired)
    assert mean == 2.0 and np.isnan(rest).all()


def test_a_single_value_of_one_run_has_no_interval():
    mean, *rest = mean_difference(np.array([3.0]), np.array([1.0, 2.0]), paired=False)
    assert mean == 1.5 and np.isnan(rest).all()


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_what_is_not_finite_is_not_left_out(paired, lost):
    values = np.array([1.0, lost, 3.0])
    assert np.isnan(mean_difference(values, np.ones(3), paired)).all()
    assert np.isnan(mean_difference(values, values, paired)).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([], [1.0], False), r"mean_difference.values must be numbers \[S\], at least one"),
        (([1.0], [[1.0]], False), r"mean_difference.baselines must be numbers \[S\]"),
        (([1.0, 2.0], [1.0], True), "baselines must be of the 2 seeds of the values, not 1"),
        (([1.0], [1.0], True, 1.0), r"mean_difference.confidence must lie in \(0, 1\)"),
    ],
)
def test_refuses(arguments, said):
    with pytest.raises(BadInput, match=said):
        mean_difference(*arguments)
