"""ConFIG: known answers, what the length says, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import ConFIG
from mtl_jax.core.validation import BadInput

weigh = jax.jit(lambda gram: ConFIG().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.2265, 0.8441]),  # torchjd 0.18.0, ConFIG.
        ([[2.0, 0.0], [0.0, 1.0]], [0.75, 1.5]),  # by hand: u = (1, 1)/sqrt 2, 3/sqrt 2 of it.
        ([[0.0, 0.0], [3.0, 1.0]], [0.0, 1.0]),  # a zero row has no say.
        ([[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0]),  # by hand: duplicates share the sum.
        ([[1.0, 0.0], [-2.0, 0.0]], [0.0, 0.0]),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=1e-3, atol=1e-6)


def weights_of(rows, method=None):
    """Weights of gradients in float32, as they come out of a Gram matrix in float32."""
    rows = jnp.array(rows, jnp.float32)
    gram = jnp.matmul(rows, rows.T, precision="highest")
    method = ConFIG() if method is None else method
    return np.asarray(jax.jit(method.weigh_gram)(gram, (), jax.random.key(0))[0], "float64")


@pytest.mark.slow
def test_opposed_gradients_give_zero():
    """However long they are, and whatever rounding makes of their cosine."""
    random = np.random.default_rng(0)
    for _ in range(200):
        one = random.normal(size=30).astype("float32")
        rows = np.stack([one, -np.float32(random.uniform(0.1, 10.0)) * one])
        np.testing.assert_array_equal(weights_of(rows), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [3, 4, 6])
def test_unit_vectors_that_add_up_to_zero_give_zero(num_tasks):
    """No direction has the same angle to the corners of a simplex, or to two opposed pairs."""
    random = np.random.default_rng(num_tasks)
    for angle in 30 * [None] + 30 * [0.1]:
        basis = np.linalg.qr(random.normal(size=(20, num_tasks)))[0].T
        rows = basis - basis.mean(0)
        if angle is not None:
            one, other = basis[0], np.cos(angle) * basis[0] + np.sin(angle) * basis[1]
            rows = np.stack([one, -one, other, -other])
        rows = rows * random.uniform(0.1, 10.0, size=(len(rows), 1))
        np.testing.assert_array_equal(weights_of(rows), 0.0)


@pytest.mark.parametrize(
    ("angle", "most"), [(0.1, 1e-4), (0.01, 5e-3), (0.004, 2e-2), (0.0025, None)]
)
def test_the_limit_of_float32_near_opposed_gradients(angle, most):
    """Against NumPy in double precision; 0.0028 radians from opposed is the end."""
    random = np.random.default_rng(3)
    for _ in range(10):
        basis = np.linalg.qr(random.normal(size=(20, 2)))[0].T
        rows = np.stack([basis[0], -np.cos(angle) * basis[0] + np.sin(angle) * basis[1]])
        rows = (rows * random.uniform(0.5, 2.0, size=(2, 1))).astype("float32").astype("float64")
        found = weights_of(rows) @ rows
        if most is None:
            np.testing.assert_array_equal(found, 0.0)
            continue
        exact = direct(rows, np.ones(2))
        assert np.linalg.norm(found - exact) < most * np.linalg.norm(exact)


def direct(rows, wanted):
    """The method as the paper writes it, by NumPy's pseudo-inverse."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.linalg.pinv(units) @ wanted
    unit /= np.linalg.norm(unit)
    return (rows @ unit).sum() * unit


@pytest.mark.parametrize(
    ("preference", "rows", "expected"),
    [
        (
            (1.0, 3.0),
            [[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]],
            [0.62960007, 2.19641211, 2.19641211],  # torchjd 0.18.0, ConFIG(pref_vector).
        ),
        (
            (2.0, 0.0),
            [[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]],
            [-0.52631579, 1.57894737, 1.57894737],  # torchjd 0.18.0, ConFIG(pref_vector).
        ),
        (
            (2.0, 1.0, 0.5),
            [[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0], [1.0, 2.0, -3.0]],
            [-0.12220639, 2.60894424, 1.37019607],  # torchjd 0.18.0, ConFIG(pref_vector).
        ),
        (
            None,
            [[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0], [1.0, 2.0, -3.0]],
            [0.17511898, 3.38679787, 1.17972675],  # torchjd 0.18.0, ConFIG.
        ),
    ],
)
def test_preferences(preference, rows, expected):
    found = weights_of(rows, ConFIG(preference)) @ np.array(rows)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    wanted = np.ones(len(rows)) if preference is None else np.array(preference)
    np.testing.assert_allclose(found, direct(np.array(rows), wanted), rtol=1e-4)


def test_cosines_are_as_the_preferences():
    rows = np.random.default_rng(1).normal(size=(3, 8)) * np.array([[1.0], [10.0], [0.1]])
    total = weights_of(rows, ConFIG((1.0, 2.0, 4.0))) @ rows
    along = rows @ total / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(along / along[0], [1.0, 2.0, 4.0], rtol=1e-4)


def test_bad_settings():
    for value in ((-1.0, 1.0), (0.0, 0.0), (), 3.0, (np.nan, 1.0)):
        with pytest.raises(BadInput, match=r"ConFIG.preference must be a tuple of finite numbers"):
            ConFIG(value)
    with pytest.raises(BadInput, match=r"ConFIG.preference must have 3 numbers"):
        ConFIG((1.0, 2.0)).init(3)


def test_it_agrees_with_all_and_is_as_long_as_they_agree():
    rows = np.random.default_rng(0).normal(size=(4, 9)) * 10.0 ** np.array([[-5], [0], [2], [5]])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    total = np.asarray(weigh(jnp.array(rows @ rows.T, jnp.float32)), "float64") @ rows
    length = np.linalg.norm(total)
    along = units @ total / length
    assert along[0] > 0.0
    np.testing.assert_allclose(along, along[0], rtol=1e-3)
    np.testing.assert_allclose((rows @ total).sum() / length, length, rtol=1e-3)
