"""Effects of factors: contrasts by hand, and what they mean."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.factorial import contrasts


def by_levels(values, **settings):
    return {one.levels: one.effect.tolist() for one in contrasts(values, **settings)}


def test_two_factors_by_hand():
    # Two seeds; first factor off / on in rows, second in columns.
    values = [[[50.0, 60.0], [70.0, 76.0]], [[54.0, 60.0], [80.0, 90.0]]]
    found = by_levels(np.array(values))
    assert list(found) == [(1, 0), (0, 1), (1, 1)], "main effects first"
    assert found[1, 0] == [(4.0 + 10.0) / 2, (0.0 + 14.0) / 2]  # by hand
    assert found[0, 1] == [(20.0 + 26.0) / 2, (16.0 + 30.0) / 2]  # by hand
    assert found[1, 1] == [(80 - 70) - (54 - 50), (90 - 76) - (60 - 60)]  # by hand, not halved


def test_each_level_stands_against_the_first():
    values = np.array([[1.0, 2.0], [4.0, 9.0], [6.0, 3.0]])[..., None]
    found = by_levels(values)
    expected = {
        (1, 0): (3.0 + 7.0) / 2,  # by hand
        (2, 0): (5.0 + 1.0) / 2,
        (0, 1): (1.0 + 5.0 - 3.0) / 3,
        (1, 1): (9.0 - 2.0) - (4.0 - 1.0),
        (2, 1): (3.0 - 2.0) - (6.0 - 1.0),
    }
    assert {levels: effect for levels, (effect,) in found.items()} == pytest.approx(expected)


def test_three_factors_that_only_together_do_something():
    values = np.zeros((2, 2, 2, 1))
    values[1, 1, 1] = 8.0
    found = by_levels(values)
    assert list(found) == [
        (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)
    ]  # fmt: skip
    # By hand: a quarter of the cells, a half of them, and the whole.
    assert list(found.values()) == [[2.0], [2.0], [2.0], [4.0], [4.0], [4.0], [8.0]]
    assert max(one.order for one in contrasts(values, order=2)) == 2
    assert len(contrasts(values, order=1)) == 3


def test_what_adds_up_has_no_interaction():
    one, two, three = (np.arange(n) * scale for n, scale in ((2, 5.0), (3, -2.0), (2, 0.25)))
    values = (one[:, None, None] + two[:, None] + three)[..., None] + np.array([0.0, 100.0])
    for each in contrasts(values):
        # The seeds' own height cancels, since every contrast is paired.
        assert each.effect[0] == each.effect[1]
        assert each.order == 1 or not each.effect.any()
    assert by_levels(values)[0, 2, 0] == [-4.0, -4.0]  # by hand


def test_a_rest_of_rounding_is_no_effect():
    values = np.array([[[50.1, 0.1], [70.3, 0.3]], [[60.2, 0.7], [80.4, 0.9]]])
    rest = (values[1, 1] - values[0, 1]) - (values[1, 0] - values[0, 0])
    assert rest.any(), "in floats"
    assert by_levels(values)[1, 1] == [0.0, 0.0]
    assert by_levels(1e-9 * values)[1, 1] == [0.0, 0.0]
    assert by_levels(1e-9 * values)[0, 1] == pytest.approx([20.2e-9, 0.2e-9], rel=1e-8)
    assert by_levels(np.zeros((2, 2))) == {(1,): [0.0, 0.0]}


def test_a_run_that_diverged_says_nothing():
    values = np.array([[1.0, 2.0], [np.nan, 3.0]])
    (only,) = contrasts(values)
    np.testing.assert_array_equal(only.effect, [np.nan, 1.0])


@pytest.mark.parametrize(
    ("values", "order", "said"),
    [
        ([1.0, 2.0], 3, r"contrasts.values must be numbers \[L_1, ..., L_F, S\]"),
        ([[1.0, 2.0]], 3, "contrasts.values must"),
        (np.ones((2, 2, 0)), 3, "contrasts.values must"),
        (3.0, 3, "contrasts.values must"),
        (np.ones((2, 1)), 0, "contrasts.order must be at least 1, not 0"),
    ],
)
def test_contrasts_refuse(values, order, said):
    with pytest.raises(BadInput, match=said):
        contrasts(np.array(values), order)
