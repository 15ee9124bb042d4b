"""Nash-MTL: known answers, the length of the step, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import NashMTL

weigh = jax.jit(lambda gram: NashMTL().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.5915, 0.4071]),  # torchjd 0.18.0, FairGrad(1).
        ([[2.0, 0.0], [0.0, 0.5]], [0.5, 2.0]),  # by hand: 1 over the lengths.
        ([[3.0, 0.0], [3.0, 0.0]], [1 / np.sqrt(18)] * 2),  # by hand: 9 (w + w) = 1 / w.
        ([[0.0, 0.0], [3.0, 4.0]], [0.0, 0.2]),  # the zero row apart, by hand: 1 / 5.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[-4.0]], [0.25]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=2e-4)


def test_the_step_is_of_length_sqrt_k_and_all_gain():
    rows = np.random.default_rng(0).normal(size=(5, 9)) * 10.0 ** np.arange(-2, 3)[:, None]
    weights = np.asarray(weigh(jnp.array(rows @ rows.T, jnp.float32)))
    np.testing.assert_allclose(np.linalg.norm(weights @ rows), np.sqrt(5.0), rtol=1e-5)
    assert (rows @ (weights @ rows) > 0).all()


def test_opposed_gradients_cancel():
    rows = np.array([[1.0, 2.0], [-3.0, -6.0]], np.float32)
    weights = np.asarray(weigh(rows @ rows.T))
    np.testing.assert_allclose(weights[0], 3.0 * weights[1], rtol=1e-5)
    assert np.linalg.norm(weights @ rows) < 0.01


@pytest.mark.parametrize(
    ("angle", "share"), [(0.1, 1.0), (0.01, 0.964), (0.003, 0.74), (1e-4, 0.0)]
)
def test_the_limit_of_float32_near_opposed_gradients(angle, share):
    """The ridge shortens d; `t / sqrt(t^2 + r)` by hand, with t half the angle and r/2 the ridge."""
    rows = np.array([[2.0, 0.0], [-5.0 * np.cos(angle), 5.0 * np.sin(angle)]])
    found = np.asarray(weigh(jnp.array(rows @ rows.T, jnp.float32)), "float64") @ rows
    length = np.linalg.norm(found) / np.sqrt(2.0)
    np.testing.assert_allclose(length, share, atol=0.05)


STEPS = [
    [[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]],
    [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]],
    [[1.0, 0.0, 0.0], [-0.5, 1.0, 0.0]],
    [[0.0, 3.0, 0.0], [-0.5, 1.0, 0.0]],
]


def combined(method, steps=STEPS):
    """What each of some steps goes along."""
    state, found, weigh = method.init(2), [], jax.jit(method.weigh_gram)
    for rows in map(np.array, steps):
        weights, state = weigh(jnp.array(rows @ rows.T, jnp.float32), state, jax.random.key(0))
        found.append(np.asarray(weights) @ rows)
    return np.array(found)


def test_max_norm_and_every():
    found = combined(NashMTL(max_norm=1.0, every=3))
    expected = [  # torchjd 0.18.0, NashMTL(2, max_norm=1.0, update_weights_every=3).
        [0.05415320, 0.70606917, 0.70606917],
        [0.96875459, 0.24802132, 0.0],
        [0.38792548, 0.40707153, 0.0],
        [-0.22975293, 0.97324902, 0.0],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_max_norm_alone():
    found = combined(NashMTL(max_norm=0.5))
    expected = [  # torchjd 0.18.0, NashMTL(2, max_norm=0.5).
        [0.02707660, 0.35303459, 0.35303459],
        [0.46193981, 0.19134174, 0.0],
        [0.26286554, 0.42532542, 0.0],
        [-0.11487646, 0.48662451, 0.0],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(combined(NashMTL(max_norm=2.0)), combined(NashMTL()), rtol=1e-6)


def test_a_step_that_is_not_finite_does_not_count():
    method = NashMTL(every=2)
    weigh = jax.jit(method.weigh_gram)
    wrong, state = weigh(jnp.full((2, 2), jnp.nan), method.init(2), jax.random.key(0))
    assert np.isnan(wrong).all() and state.steps == 0
    first, state = weigh(jnp.diag(jnp.array([4.0, 0.25])), state, jax.random.key(0))
    np.testing.assert_allclose(first, [0.5, 2.0], rtol=1e-4)  # by hand: 1 over the lengths.
    wrong, state = weigh(jnp.full((2, 2), jnp.inf), state, jax.random.key(0))
    assert np.isnan(wrong).all() and state.steps == 1
    again, state = weigh(jnp.eye(2), state, jax.random.key(0))
    np.testing.assert_array_equal(again, first)
    new, _ = weigh(jnp.eye(2), state, jax.random.key(0))
    np.testing.assert_allclose(new, [1.0, 1.0], rtol=1e-4)


@pytest.mark.slow
def test_every_under_scan_and_vmap_is_the_loop():
    method = NashMTL(max_norm=1.0, every=3)
    random = np.random.default_rng(0)
    rows = random.normal(size=(4, 7, 3, 8))  # seeds, steps
    grams = jnp.array(rows @ rows.swapaxes(-1, -2), jnp.float32)

    def run(grams):
        def step(state, gram):
            weights, state = method.weigh_gram(gram, state, jax.random.key(0))
            return state, weights

        return jax.lax.scan(step, method.init(3), grams)[1]

    together = jax.jit(jax.vmap(run))(grams)
    for seed in range(4):
        state = method.init(3)
        for at in range(7):
            wanted, state = method.weigh_gram(grams[seed, at], state, jax.random.key(0))
            np.testing.assert_allclose(together[seed, at], wanted, rtol=1e-4)
