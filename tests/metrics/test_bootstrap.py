"""Bootstrap intervals: SciPy's, and those of every resample by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics import bootstrap_interval


@pytest.mark.parametrize(
    ("num_seeds", "method"), [(2, "percentile"), (4, "percentile"), (5, "BCa"), (30, "BCa")]
)
def test_one_sample_is_scipys(num_seeds, method):
    values = np.random.default_rng(num_seeds).exponential(size=num_seeds)
    low, high, said = bootstrap_interval(values)
    reference = stats.bootstrap((values,), np.mean, method=method, rng=np.random.default_rng(0))
    np.testing.assert_allclose((low, high), reference.confidence_interval, rtol=1e-12)
    assert said == method


@pytest.mark.parametrize(("sizes", "method"), [((5, 8), "BCa"), ((8, 3), "percentile")])
def test_two_samples_are_scipys(sizes, method):
    rng = np.random.default_rng(0)
    b, a = (rng.exponential(size=size) for size in sizes)

    def statistic(x, y, axis):
        return np.mean(x, axis) - np.mean(y, axis)

    low, high, said = bootstrap_interval(b, a, confidence=0.8)
    reference = stats.bootstrap(
        (b, a), statistic, confidence_level=0.8, method=method, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose((low, high), reference.confidence_interval, rtol=1e-12)
    assert said == method


def test_percentiles_are_those_of_all_resamples():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    means = [np.mean(resample) for resample in itertools.product(values, repeat=4)]
    low, high, _ = bootstrap_interval(values, confidence=0.8)
    np.testing.assert_allclose((low, high), np.percentile(means, [10.0, 90.0]), atol=0.26)


def test_it_is_the_same_every_time():
    values = np.random.default_rng(1).normal(size=7)
    assert bootstrap_interval(values) == bootstrap_interval(values)


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([[2.0, 2.0, 2.0]], (2.0, 2.0, "percentile")),
        ([[1.0, 1.0, 1.0 + 3e-16]], (1.0, 1.0, "percentile")),
        ([[3.0] * 5, [1.0] * 6], (2.0, 2.0, "BCa")),
        ([[3.0]], (np.nan, np.nan, "none")),
        ([[3.0, 4.0], [1.0]], (np.nan, np.nan, "none")),
        ([[3.0, np.nan, 4.0]], (np.nan, np.nan, "none")),
    ],
)
def test_degenerate_samples(samples, found):
    low, high, method = bootstrap_interval(*map(np.array, samples))
    np.testing.assert_equal((low, high), found[:2])
    assert method == found[2]


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0 + 1e-9]])
def test_bca_of_almost_equal_values_is_a_number(values):
    low, high, _ = bootstrap_interval(np.array(values))
    assert low <= np.mean(values) <= high
    low, high, _ = bootstrap_interval(np.array(values), np.zeros(5))
    assert low <= np.mean(values) <= high


def test_refuses():
    with pytest.raises(BadInput, match=r"bootstrap_interval.baselines must be numbers \[S\]"):
        bootstrap_interval(np.ones(2), np.ones((2, 2)))
    with pytest.raises(BadInput, match=r"bootstrap_interval.confidence must lie in \(0, 1\)"):
        bootstrap_interval(np.ones(2), confidence=0.0)
