"""FairGrad: known answers, its ends, and its bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA, FairGrad
from mtl_jax.checks import BadInput

KEY = jax.random.key(0)
GRAM = jnp.array([[18.0, -22.0], [-22.0, 38.0]])


def weights(alpha, gram):
    return np.asarray(jax.jit(lambda g: FairGrad(alpha).weigh_gram(g, (), KEY)[0])(gram))


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [0.5915, 0.4071]),  # torchjd 0.18.0, FairGrad.
        (2.0, [0.4714, 0.3195]),  # torchjd 0.18.0, FairGrad.
    ],
)
def test_values(alpha, expected):
    np.testing.assert_allclose(weights(alpha, GRAM), expected, rtol=2e-4)


@pytest.mark.parametrize("alpha", [0.25, 1.0, 4.0])
def test_orthogonal_gradients(alpha):
    found = weights(alpha, jnp.diag(jnp.array([4.0, 0.25, 0.0])))
    expected = [4.0 ** -(1 / (1 + 1 / alpha)), 0.25 ** -(1 / (1 + 1 / alpha)), 0.0]  # by hand.
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_larger_alpha_comes_nearer_to_the_shortest_combination():
    shortest = np.asarray(MGDA().weigh_gram(GRAM, (), KEY)[0])
    found = [weights(alpha, GRAM) for alpha in (0.25, 1.0, 4.0)]
    distances = [np.abs(w / w.sum() - shortest).max() for w in found]
    assert distances[0] > distances[1] > distances[2]


@pytest.mark.parametrize("alpha", [0.0, 0.2, 5.0, "2"])
def test_bad_settings(alpha):
    with pytest.raises(BadInput, match=r"FairGrad\.alpha must"):
        FairGrad(alpha)
