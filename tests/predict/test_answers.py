"""Answers by hand, and probabilities of SciPy."""

import numpy as np
import pytest
from scipy import special

from mtl_jax.predict import TaskSpec, answer

RANDOM = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) * 30.0


def test_a_class():
    found = answer(TaskSpec("a", "multiclass"), RANDOM)
    np.testing.assert_allclose(found.probabilities, special.softmax(RANDOM, -1), rtol=1e-5)
    np.testing.assert_array_equal(found.values, RANDOM.argmax(1))
    assert found.outputs is RANDOM


def test_labels():
    found = answer(TaskSpec("a", "multilabel"), RANDOM)
    np.testing.assert_allclose(found.probabilities, special.expit(RANDOM), rtol=1e-5)
    np.testing.assert_array_equal(found.values, found.probabilities >= 0.5)


def test_yes_or_no():
    found = answer(TaskSpec("a", "binary"), np.log([[3.0], [0.25]]))
    np.testing.assert_allclose(found.probabilities, [[0.25, 0.75], [0.8, 0.2]])
    assert found.values.tolist() == [1, 0]


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_sure_answers_do_not_overflow(logit):
    with np.errstate(over="raise", invalid="raise"):
        found = answer(TaskSpec("a", "binary"), np.full((1, 1), logit, np.float32))
    assert found.probabilities.tolist() == [[float(logit < 0), float(logit > 0)]]


def test_numbers_in_the_unit_of_the_data():
    spec = TaskSpec("a", "continuous", mean=(1.0, 2.0), std=(10.0, 100.0))
    found = answer(spec, np.array([[1.0, -1.0]], np.float32))
    assert found.values.tolist() == [[11.0, -98.0]] and found.values.dtype == np.float32
    assert answer(TaskSpec("a", "continuous"), RANDOM).values is RANDOM


def test_answers_at_every_position():
    outputs = np.zeros((2, 5, 4, 3), np.float32)
    outputs[1, 2, 3, 1] = np.log(2.0)
    found = answer(TaskSpec("a", "multiclass"), outputs)
    assert found.values.shape == (2, 5, 4) and found.values[1, 2, 3] == 1
    assert found.probabilities[1, 2, 3].tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_what_is_not_decoded():
    assert answer(TaskSpec("a", "arrays"), RANDOM).values is None
    boxes = {"boxes": RANDOM, "scores": RANDOM[:, 0], "classes": RANDOM[:, 1], "heatmap": RANDOM}
    assert answer(TaskSpec("a", "boxes"), boxes).values.keys() == {"boxes", "scores", "classes"}
    assert answer(TaskSpec("a", "arrays"), boxes).values is None
