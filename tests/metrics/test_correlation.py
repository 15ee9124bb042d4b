"""Rank correlation and concordance against SciPy, and by counting pairs."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from mtl_jax.metrics.correlation import Concordance, Spearman


def inputs(seed, shape=(5, 3, 2)):
    """Predictions and targets with ties; some targets are missing."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=shape).round(seed % 3)
    predictions = (targets + rng.normal(size=shape)).round(seed % 2)
    targets[rng.random(shape) < 0.2] = np.nan
    return predictions, targets


def columns(predictions, targets):
    """The known numbers of each output."""
    f, y = (each.reshape(-1, each.shape[-1]) for each in (predictions, targets))
    return [(f[k, d], y[k, d]) for d, k in enumerate(~np.isnan(y).T)]


def test_spearman_is_scipys():
    for seed in range(100):
        arrays = inputs(seed)
        wanted = np.mean([stats.spearmanr(*each).statistic for each in columns(*arrays)])
        np.testing.assert_allclose(Spearman().compute(*arrays), wanted, rtol=1e-6, atol=1e-12)


def test_concordance_is_scipys_somers_d():
    for seed in range(100):
        arrays = inputs(seed)
        ds = [stats.somersd(y, f).statistic for f, y in columns(*arrays)]
        wanted = (1 + np.mean(ds)) / 2
        np.testing.assert_allclose(Concordance().compute(*arrays), wanted, rtol=1e-6)


def test_concordance_counts_pairs():
    predictions, targets = inputs(3, (9, 1))
    values = []
    pairs = zip(predictions[:, 0], targets[:, 0], strict=True)
    for (f, y), (g, z) in itertools.combinations(pairs, 2):
        if y != z and not np.isnan(y + z):
            values.append(0.5 if f == g else (f < g) == (y < z))
    found = Concordance().compute(predictions, targets)
    np.testing.assert_allclose(found, np.mean(values), rtol=1e-12)


def test_concordance_of_two_targets_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(50, 1)).round(1), rng.integers(0, 2, 50)
    found = Concordance().compute(outputs, labels)
    np.testing.assert_allclose(found, roc_auc_score(labels, outputs[:, 0]), rtol=1e-12)


@pytest.mark.parametrize(("metric", "chance"), [(Spearman(), 0.0), (Concordance(), 0.5)])
def test_equal_predictions_are_chance_and_equal_targets_do_not_count(metric, chance):
    targets = np.array([[1.0, 3.0], [2.0, 3.0], [3.0, np.nan]])
    assert metric.compute(np.ones((3, 2)), targets) == chance
    assert metric.compute(targets[:, :1] * [[1, 1]], targets) == pytest.approx(1.0)
    assert np.isnan(metric.compute(np.ones((3, 1)), np.ones(3)))
    assert np.isnan(metric.compute(np.ones((3, 1)), np.full(3, np.nan)))


def test_numbers_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"spearman needs outputs and labels .* not \(3, 2\)"):
        Spearman().compute(np.ones((3, 2)), np.ones(3))
