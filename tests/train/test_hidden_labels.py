"""Counts of predictions for hidden labels, against scikit-learn."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from mtl_jax.losses import binary_cross_entropy
from mtl_jax.train.hidden_labels import COUNTS, ClassCounts, HiddenLabels, evaluate_hidden
from tests.small import ROW

RANDOM = np.random.default_rng(0)


def counted(logits, labels, mask):
    metric = ClassCounts()
    found = metric.compute(jax.jit(metric.from_model_output)(logits, labels, mask))
    return dict(zip(COUNTS, np.asarray(found), strict=True))


def check(found, labels, probabilities):
    """Counts of known labels `[N]` are those of confusion matrices."""
    size, predicted = probabilities.shape[-1], probabilities.argmax(-1)
    sure = probabilities.max(-1) >= 0.95
    assert 0 < sure.sum() < len(sure)
    every, some = (
        confusion_matrix(labels[keep], predicted[keep], labels=range(size))
        for keep in (np.ones(len(labels), bool), sure)
    )
    wanted = (every.sum(1), every.sum(0), np.diag(every), some.sum(0), np.diag(some))
    for name, values in zip(COUNTS, wanted, strict=True):
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("shape", [(60,), (6, 5, 4)], ids=["examples", "pixels"])
def test_classes(shape):
    logits = (6 * RANDOM.normal(size=(*shape, 4))).astype(np.float32)
    labels = RANDOM.integers(-1, 4, shape).astype(np.int32)
    mask = RANDOM.random(shape[0]) < 0.8
    known = (labels >= 0) & mask.reshape(-1, *[1] * (len(shape) - 1))
    found = counted(logits, np.where(known, labels, -1), mask)
    check(found, labels[known], np.asarray(jax.nn.softmax(logits[known])))


@pytest.mark.parametrize("shape", [(50,), (50, 1), (5, 10), (5, 10, 1)])
def test_a_single_logit_has_two_classes(shape):
    logits = (6 * RANDOM.normal(size=50)).astype(np.float32)
    labels = RANDOM.choice([0.0, 1.0, np.nan], 50).astype(np.float32)
    rows = (*shape[:1], *shape[1:]) if shape[-1] == 1 else (*shape, 1)
    found = counted(logits.reshape(rows), labels.reshape(shape), np.ones(shape[0], bool))
    yes, known = 1 / (1 + np.exp(-logits)), ~np.isnan(labels)
    check(found, labels[known].astype(int), np.stack([1 - yes, yes], -1)[known])


def net(**weights):
    """A model whose outputs are `x W`, by task."""

    def apply(params, stats, inputs, train):
        assert not train
        found = {name: inputs @ weight for name, weight in weights.items()}
        return types.SimpleNamespace(logits=found, features=None), stats

    return types.SimpleNamespace(apply=apply)


KIND = ROW.replace(name="kind")
SIGN = ROW.replace(name="sign", num_outputs=1, loss=binary_cross_entropy)
STREAM = {
    "inputs": RANDOM.normal(size=(9, 3)).astype(np.float32),
    "kind": RANDOM.integers(0, 3, 9).astype(np.int32),
    "sign": RANDOM.integers(0, 2, 9).astype(np.float32),
}


def test_only_hidden_labels_count():
    weights = {"kind": np.eye(3, dtype=np.float32), "sign": np.ones((3, 1), np.float32)}
    index = jnp.array([7, 2, 5, 0])
    mask = {"kind": np.array([1, 0, 1, 1], bool), "sign": np.array([0, 1, 1, 0], bool)}
    found = evaluate_hidden(
        net(**weights), (KIND, SIGN), None, None, {"": STREAM}, {"": HiddenLabels(index, mask)}
    )
    kinds, signs = np.array([7, 5, 0]), np.array([2, 5])
    right = STREAM["inputs"][kinds].argmax(1) == STREAM["kind"][kinds]
    assert int(found["kind"]["correct"].sum()) == right.sum()
    np.testing.assert_array_equal(
        found["kind"]["true"], np.bincount(STREAM["kind"][kinds], minlength=3)
    )
    said = STREAM["inputs"][signs].sum(1) > 0
    np.testing.assert_array_equal(found["sign"]["predicted"], np.bincount(said, minlength=2))


def test_outputs_that_are_not_finite_have_no_counts():
    hidden = {"": HiddenLabels(jnp.arange(9), {"kind": np.ones(9, bool)})}
    found = evaluate_hidden(
        net(kind=np.full((3, 3), np.nan, np.float32)), (KIND,), None, None, {"": STREAM}, hidden
    )
    assert all(np.isnan(values).all() for values in found["kind"].values())
