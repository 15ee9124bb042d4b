"""The interquartile mean: SciPy's trimmed mean, and by hand."""

import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics import interquartile_mean


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 4, 5, 8, 11, 50])
def test_it_is_scipys_trimmed_mean(num_seeds):
    values = np.random.default_rng(num_seeds).normal(size=num_seeds)
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25))


def test_by_hand():
    assert interquartile_mean(np.array([-50.0, 8.0, 1.0, 2.0, 3.0, 4.0, 99.0, 7.0])) == 4.0
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0  # Nothing is left out of three.


def test_what_is_not_finite_is_not_left_out():
    assert np.isnan(interquartile_mean(np.array([1.0, 2.0, 3.0, np.nan])))
    assert np.isnan(interquartile_mean(np.array([1.0, 2.0, 3.0, np.inf])))


def test_refuses():
    with pytest.raises(BadInput, match=r"interquartile_mean.values must be numbers \[S\]"):
        interquartile_mean(np.ones((2, 2)))
