"""FairGrad: known answers, its ends, and its bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA, FairGrad
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
GRAM = jnp.array([[18.0, -22.0], [-22.0, 38.0]])


def weights(alpha, gram):
    return np.asarray(jax.jit(lambda g: FairGrad(alpha).weigh_gram(g, (), KEY)[0])(gram))


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [0.5915, 0.4071]),  # torchjd 0.18.0, FairGrad.
        (2.0, [0.4714, 0.3195]),  # torchjd 0.18.0, FairGrad.
        (0.0, [0.5, 0.5]),  # torchjd 0.18.0, FairGrad(0).
        (0.05, [1.09917163, 0.89246314]),  # torchjd 0.18.0, FairGrad.
        (0.1, [1.03188204, 0.81105652]),  # torchjd 0.18.0, FairGrad.
        (0.2, [0.93232071, 0.69827948]),  # torchjd 0.18.0, FairGrad.
        (8.0, [0.34868395, 0.23343394]),  # torchjd 0.18.0, FairGrad.
    ],
)
def test_values(alpha, expected):
    np.testing.assert_allclose(weights(alpha, GRAM), expected, rtol=2e-4)


@pytest.mark.parametrize("alpha", [1e-4, 0.01, 0.2, 0.25, 1.0, 4.0, 100.0])
def test_orthogonal_gradients(alpha):
    found = weights(alpha, jnp.diag(jnp.array([4.0, 0.25, 0.0])))
    expected = [4.0 ** -(1 / (1 + 1 / alpha)), 0.25 ** -(1 / (1 + 1 / alpha)), 0.0]  # by hand.
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_larger_alpha_comes_nearer_to_the_shortest_combination():
    shortest = np.asarray(MGDA().weigh_gram(GRAM, (), KEY)[0])
    found = [weights(alpha, GRAM) for alpha in (0.25, 1.0, 4.0)]
    distances = [np.abs(w / w.sum() - shortest).max() for w in found]
    assert distances[0] > distances[1] > distances[2]


@pytest.mark.parametrize("alpha", [1e-4, 0.03, 0.15, 0.5, 2.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_weights_solve_the_equation(alpha, seed):
    """`log w = -alpha log Gw` in double precision, for conflicting gradients of any length."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(4, 12))
    rows = (rows - 0.9 * rows.mean(0)) * 10.0 ** random.uniform(-2, 2, size=(4, 1))
    gram = (rows @ rows.T).astype("float32")
    found = weights(alpha, jnp.array(gram)).astype("float64")
    assert (found > 0).all()
    # What is left of Gw, where its parts cancel, is known up to the ridge and rounding.
    noise = 1e-5 * (np.abs(gram) @ found)
    gains = found ** (-1.0 / alpha)
    assert (np.abs(gram.astype("float64") @ found - gains) <= noise + 1e-3 * gains).all()


def test_a_small_alpha_is_the_sum_without_conflict_and_no_conflict_with_it():
    agree = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(weights(1e-4, jnp.array(agree)), [1.0, 1.0], rtol=1e-3)
    # By hand: the sum would take (-4, 16); w_1 = 22/18 w_2 makes the first decrease zero.
    np.testing.assert_allclose(weights(1e-4, GRAM), [22 / 18, 1.0], rtol=1e-3)


def test_alpha_zero_is_the_mean_of_zero_gradients_too():
    np.testing.assert_array_equal(weights(0.0, jnp.diag(jnp.array([4.0, 0.0]))), [0.5, 0.5])


@pytest.mark.parametrize(("angle", "conflict"), [(0.01, False), (0.001, True)])
def test_the_limit_of_float32_near_opposed_gradients(angle, conflict):
    rows = np.array([[2.0, 0.0], [-5.0 * np.cos(angle), 5.0 * np.sin(angle)]])
    found = weights(2.0, jnp.array(rows @ rows.T, jnp.float32)).astype("float64") @ rows
    cosines = rows @ found / np.linalg.norm(rows, axis=1) / np.linalg.norm(found)
    assert (cosines[1] < 0) == conflict and cosines.min() > -2e-3


@pytest.mark.parametrize(
    "alpha",
    [1e-5],
)
def test_bad_settings(alpha):
    with pytest.raises(BadInput, match=r"FairGrad\.alpha must"):
        FairGrad(alpha)
