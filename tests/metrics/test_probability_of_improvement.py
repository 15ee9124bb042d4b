"""The probability of improvement: SciPy's U statistic, and every pair by hand."""

import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics import probability_of_improvement


@pytest.mark.parametrize(("num_values", "num_baselines"), [(1, 1), (3, 5), (10, 10), (30, 7)])
def test_it_is_scipys_u_over_the_pairs(num_values, num_baselines):
    rng = np.random.default_rng(num_values)
    values, baselines = rng.integers(5, size=num_values), rng.integers(5, size=num_baselines)
    found = probability_of_improvement(values, baselines)
    u = stats.mannwhitneyu(values, baselines).statistic
    assert found == pytest.approx(u / (num_values * num_baselines))
    pairs = np.sign(values[:, None] - baselines) / 2.0 + 0.5
    assert found == pytest.approx(pairs.mean())
    assert probability_of_improvement(baselines, values) == pytest.approx(1.0 - found)


def test_where_lower_is_better():
    values, baselines = np.array([1.0, 4.0]), np.array([2.0, 3.0, 4.0])
    # Of six pairs 1 is below three; 4 is below none and equal to one.
    assert probability_of_improvement(values, baselines, False) == pytest.approx(3.5 / 6)
    assert probability_of_improvement(values, baselines) == pytest.approx(2.5 / 6)


def test_degenerate_values():
    same = np.array([0.3, 0.3])
    assert probability_of_improvement(same, same) == 0.5
    assert np.isnan(probability_of_improvement(np.array([1.0, np.nan]), same))


def test_refuses():
    with pytest.raises(BadInput, match=r"probability_of_improvement.baselines must be numbers"):
        probability_of_improvement(np.ones(2), np.ones(0))
