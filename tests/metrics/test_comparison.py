"""Comparing runs: Delta_m, Delta_p, ranks, intervals and verdicts, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.comparison import (
    confidence_interval,
    delta_m,
    delta_p,
    holm,
    mean_rank,
    p_value,
    significance,
    verdicts,
)


def test_delta_m_is_lower_when_better():
    values, baselines = jnp.array([[0.9, 2.0], [0.4, 1.0]]), jnp.array([0.8, 2.0])
    found = delta_m(values, baselines, (True, False))
    np.testing.assert_allclose(found, [-6.25, 0.0], atol=1e-5)  # by hand: -12.5/2, (50 - 50)/2.


def test_delta_m_of_a_published_row():
    """LS on two-task Cityscapes (mIoU, accuracy, absolute and relative depth error)."""
    single = jnp.array([74.01, 93.16, 0.0125, 27.77])
    scalarised = jnp.array([75.18, 93.49, 0.0155, 46.77])
    found = delta_m(scalarised, single, (True, True, False, False))
    np.testing.assert_allclose(found, 22.60, atol=0.4)  # Nash-MTL, Table 3; rows are rounded.


def test_delta_m_refuses_another_number_of_metrics():
    with pytest.raises(ValueError, match="delta_m"):
        delta_m(jnp.ones(3), jnp.ones(3), (True, False))
    with pytest.raises(ValueError, match="delta_m"):
        delta_m(jnp.ones(3), jnp.ones(1), (True, False, True))


def test_interval():
    mean, half = confidence_interval(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose([mean, half], [2.0, 4.302653 / np.sqrt(3)], rtol=1e-6)  # t table.
    assert confidence_interval([1.0, 2.0, 3.0], confidence=0.5)[1] < half
    assert confidence_interval([2.0, 2.0]) == (2.0, 0.0)


def test_interval_of_one_value_has_no_width():
    mean, half = confidence_interval([4.0])
    assert mean == 4.0 and np.isnan(half)


@pytest.mark.parametrize(("values", "confidence"), [([], 0.95), ([1.0, 2.0], 1.0), (3.0, 0.9)])
def test_interval_refuses(values, confidence):
    with pytest.raises(BadInput, match=r"confidence_interval\."):
        confidence_interval(values, confidence)


def test_delta_p_averages_by_task_first_and_is_higher_when_better():
    values, baselines = jnp.array([0.9, 1.0, 3.0]), jnp.array([0.8, 2.0, 2.0])
    found = delta_p(values, baselines, (True, False, False), (0, 1, 1))
    np.testing.assert_allclose(found, (12.5 + (50.0 - 50.0) / 2) / 2, atol=1e-5)  # by hand
    once = delta_p(values, baselines, (True, False, False), (0, 1, 2))
    np.testing.assert_allclose(once, -delta_m(values, baselines, (True, False, False)), rtol=1e-6)
    several = delta_p(jnp.stack([values, baselines, 2.0 * baselines]), baselines,
                      (True, False, False), (0, 1, 1))  # fmt: skip
    np.testing.assert_allclose(several, [6.25, 0.0, (100.0 - 100.0) / 2], atol=1e-5)
    with pytest.raises(ValueError, match="delta_p needs 3 task numbers, not 2"):
        delta_p(values, baselines, (True, False, False), (0, 1))


@pytest.mark.parametrize(
    ("ties", "ranks"),
    [
        ("average", [(1.5 + 1.5) / 2, (1.5 + 3) / 2, (3 + 1.5) / 2]),
        ("min", [(1 + 1) / 2, (1 + 3) / 2, (3 + 1) / 2]),
        ("dense", [(1 + 1) / 2, (1 + 2) / 2, (2 + 1) / 2]),
    ],
)
def test_mean_rank_says_what_equal_values_get(ties, ranks):
    values = [[0.9, 1.0], [0.9, 2.0], [0.7, 1.0]]
    np.testing.assert_allclose(mean_rank(values, (True, False), ties), ranks)


def test_mean_rank_refuses():
    with pytest.raises(BadInput, match=r"mean_rank.values must be numbers \[R, 1\]"):
        mean_rank([[1.0, 2.0]], (True,))
    with pytest.raises(BadInput, match=r"mean_rank.ties must be one of"):
        mean_rank([[1.0]], (True,), "max")


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ([1.0, 1.2, 0.9], "helped"),
        ([-1.0, -1.2, -0.9], "hurt"),
        ([1.0, -1.2, 0.9], "open"),
        ([5.0], "open"),
        ([0.0, 0.0], "open"),
    ],
)
def test_verdict(gain, said):
    assert significance(np.array(gain)) == said


@pytest.mark.parametrize("seed", range(5))
def test_p_value_is_scipys_and_agrees_with_the_interval(seed):
    values = np.random.default_rng(seed).normal(0.8, 1.0, size=4)
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    mean, half = confidence_interval(values)
    assert (p_value(values) < 0.05) == (abs(mean) > half)
    assert p_value([2.0, 2.0]) == 0.0 and p_value([0.0, 0.0]) == 1.0 and np.isnan(p_value([3.0]))


def test_holm_by_hand():
    # 3 * 0.01; 2 * 0.02 = 0.04, not below 0.03; 1 * 0.03, raised to 0.04. NaN does not count.
    found = holm([0.03, np.nan, 0.01, 0.02])
    np.testing.assert_allclose(found, [0.04, np.nan, 0.03, 0.04])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    # R 4.3, p.adjust(c(0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205), "holm").
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205]
    np.testing.assert_allclose(holm(p), [0.008, 0.056, 0.234, 0.234, 0.234, 0.234, 0.234, 0.234])


def test_verdicts_are_corrected_for_their_number():
    clear = np.array([1.0, 1.2, 0.9])  # p = 0.0069
    noise = [np.array([1.0, -1.2, 0.9 + n]) for n in range(9)]
    assert verdicts([clear]) == ["helped"] and verdicts([-clear]) == ["hurt"]
    assert verdicts([clear, *noise])[0] == "open", "10 * 0.0069 > 0.05"
    assert verdicts([clear, np.array([5.0])])[0] == "helped", "one seed is no comparison"
    assert verdicts([]) == []
