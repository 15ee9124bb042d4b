"""GradDrop: which sign is kept and how often, what leaks, and that leaves draw on their own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import GradDrop
from mtl_jax.aggregation.graddrop import keep_a_sign
from mtl_jax.checks import BadInput

KEY = jax.random.key(0)
ROWS = np.array([[3.0, -1.0, 2.0], [-1.0, -2.0, 0.0]], "float32")  # P = 3/4, 0, 1


@functools.partial(jax.jit, static_argnums=0)
def combine(method, jacobian, key=KEY):
    return method.combine(jacobian, (), key)[:2]


@pytest.mark.parametrize(
    ("draw", "first"),
    [(0.0, [3.0, 0.0]), (0.74, [3.0, 0.0]), (0.75, [0.0, -1.0]), (0.999, [0.0, -1.0])],
)
def test_the_draw_decides_only_where_signs_differ(draw, first):
    kept = keep_a_sign(jnp.array(ROWS), jnp.full((1, 3), draw), jnp.zeros((2, 1)))
    np.testing.assert_array_equal(kept[:, 0], first)  # by hand
    np.testing.assert_array_equal(kept[:, 1:], ROWS[:, 1:])


def test_it_keeps_the_positive_sign_as_often_as_the_purity_says():
    many = np.repeat(ROWS[:, :1], 10_000, axis=1)
    gradient, shares = combine(GradDrop(), {"w": many})
    assert set(np.unique(gradient["w"])) == {-1.0, 3.0}
    often = (gradient["w"] == 3.0).mean()
    assert abs(often - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 10_000)
    np.testing.assert_allclose(shares, [often, 1.0 - often], rtol=1e-4)


def test_leaks():
    whole, shares = combine(GradDrop(leak=1.0), {"w": ROWS})
    np.testing.assert_allclose(whole["w"], ROWS.sum(0), rtol=1e-6)
    np.testing.assert_allclose(shares, [1.0, 1.0], rtol=1e-6)
    for leak in (0.25, (0.25, 0.5)):
        first = {float(combine(GradDrop(leak), {"w": ROWS}, key)[0]["w"][0]) for key in KEYS}
        mixed = leak if isinstance(leak, tuple) else (leak, leak)
        assert first == {3.0 - mixed[1], 3.0 * mixed[0] - 1.0}  # by hand


KEYS = jax.random.split(KEY, 20)


def test_every_leaf_draws_from_its_own_key():
    many = np.repeat(ROWS[:, :1], 100, axis=1)
    gradient, _ = combine(GradDrop(), {"a": {"w": many}, "b": many})
    alone, _ = combine(GradDrop(), {"a": {"w": many}})
    assert (gradient["a"]["w"] != gradient["b"]).any()
    np.testing.assert_array_equal(gradient["a"]["w"], alone["a"]["w"])


@pytest.mark.parametrize("leak", [-0.1, 1.5, True, "much", (), (0.5, 2.0), [0.5, 0.5]], ids=str)
def test_bad_settings(leak):
    with pytest.raises(BadInput, match=r"GradDrop.leak must be a number between 0 and 1, or"):
        GradDrop(leak)


def test_leaks_for_another_number_of_tasks_are_refused():
    with pytest.raises(BadInput, match=r"GradDrop.leak must have 3 numbers, not"):
        GradDrop((0.5, 0.5)).init(3, {})
    with pytest.raises(BadInput, match=r"GradDrop.leak must have 2 numbers, not"):
        combine(GradDrop((0.5, 0.5, 0.5)), {"w": ROWS})
