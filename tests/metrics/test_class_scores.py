"""Scores of one class: their mean is the macro score, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import metrics
from mtl_jax.core.validation import BadInput

PAIRS = [
    (metrics.ClassPrecision, metrics.MacroPrecision()),
    (metrics.ClassRecall, metrics.BalancedAccuracy()),
    (metrics.ClassF1, metrics.MacroF1()),
    (metrics.ClassIoU, metrics.MeanIoU()),
]


def inputs(seed):
    """Logits of four classes, of which one is not true and perhaps not predicted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(3, 4, 4)) - 9.0 * (np.arange(4) == seed % 4)
    return jnp.array(logits), jnp.array(rng.integers(-1, 3, (3, 4))), jnp.array([True, False, True])


@pytest.mark.parametrize(("metric", "macro"), PAIRS)
def test_their_mean_is_the_macro_score(metric, macro):
    for seed in range(8):
        arrays = inputs(seed)
        each = [metric(c).compute(metric(c).from_model_output(*arrays)) for c in range(4)]
        wanted = macro.compute(macro.from_model_output(*arrays))
        np.testing.assert_allclose(np.nanmean(each), wanted, rtol=1e-6)


@pytest.mark.parametrize("metric", [metric for metric, _ in PAIRS])
def test_a_class_that_is_not_there_is_refused(metric):
    with pytest.raises(BadInput, match=r"index must be at least 0, not -1"):
        metric(-1)
    with pytest.raises(BadInput, match=rf"{metric.__name__}\.index must be one of 4 classes, not"):
        jax.eval_shape(metric(4).from_model_output, *inputs(0))


@pytest.mark.parametrize("metric", [metric for metric, _ in PAIRS])
def test_a_class_that_never_occurs_is_nan(metric):
    labels = jnp.array([0, 0])
    sums = metric(1).from_model_output(jnp.eye(3)[labels], labels, jnp.ones(2, bool))
    assert np.isnan(metric(1).compute(sums)) and metric(1).name.endswith(" of class 1")
