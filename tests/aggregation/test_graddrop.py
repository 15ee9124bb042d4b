"""GradDrop: which sign is kept and how often, what leaks, and that leaves draw on their own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import GradDrop
from mtl_jax.aggregation.graddrop import keep_a_sign
from mtl_jax.core.validation import BadInput

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


def sure(purity):
    """Keeps the positive sign where more than 0.6 of a coordinate is."""
    return (purity > 0.6).astype(purity.dtype)


def test_a_function_of_the_purity():
    rows = np.array([[3.0, -1.0, 2.0, 1.0], [-1.0, -2.0, 0.0, -2.0]], "float32")
    for key in KEYS[:3]:
        gradient, shares = combine(GradDrop(f=sure), {"w": rows}, key)
        # torchjd 0.18.0, GradDrop(f).
        np.testing.assert_array_equal(gradient["w"], [3.0, -3.0, 2.0, -2.0])
        np.testing.assert_allclose(shares, [6 / 7, 4 / 5], rtol=1e-6)  # by hand
        gradient, _ = combine(GradDrop((0.25, 0.5), sure), {"w": rows}, key)
        # torchjd 0.18.0, GradDrop(f, leak).
        np.testing.assert_array_equal(gradient["w"], [2.5, -3.0, 2.0, -1.75])


def halfway(purity):
    """As often as the purity says, but drawn to a half."""
    return 0.25 + 0.5 * purity


def test_the_function_gives_the_probability():
    many = np.repeat(ROWS[:, :2], 10_000, axis=1)
    gradient, _ = combine(GradDrop(f=halfway), {"w": many})
    mixed, pure = gradient["w"][:10_000], gradient["w"][10_000:]
    often = (mixed == 3.0).mean()
    assert abs(often - 0.625) < 5 * np.sqrt(0.625 * 0.375 / 10_000)  # by hand: P = 3/4.
    dropped = (pure == 0.0).mean()  # of P = 0, so positive at a quarter, which none is.
    assert abs(dropped - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10_000)


def falling(purity):
    return 1.0 - purity


def doubled(purity):
    return 2.0 * purity


def summed(purity):
    return purity.sum()


@pytest.mark.parametrize("f", [falling, doubled, summed])
def test_functions_that_give_no_probability_are_refused(f):
    with pytest.raises(
        BadInput, match=r"GradDrop.f must map \[0, 1\] into \[0, 1\], entry by entry"
    ):
        GradDrop(f=f).init(2, {})
    with pytest.raises(BadInput, match=r"GradDrop.f must map"):
        jax.eval_shape(lambda: GradDrop(f=f).init(2, {}))


@pytest.mark.parametrize(
    "leak",
    [
        (),
        (0.5, 2.0),
    ],
    ids=str,
)
def test_bad_settings(leak):
    with pytest.raises(BadInput, match=r"GradDrop.leak must be a number between 0 and 1, or"):
        GradDrop(leak)


def test_leaks_for_another_number_of_tasks_are_refused():
    with pytest.raises(BadInput, match=r"GradDrop.leak must have 3 numbers, not"):
        GradDrop((0.5, 0.5)).init(3, {})
    with pytest.raises(BadInput, match=r"GradDrop.leak must have 2 numbers, not"):
        combine(GradDrop((0.5, 0.5, 0.5)), {"w": ROWS})
