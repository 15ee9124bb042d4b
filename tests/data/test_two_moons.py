"""Two moons: where the points lie, and what is refused."""

import numpy as np

from mtl_jax.data import TwoMoons
from tests.data.shapes import check_shapes


def test_without_noise_points_lie_on_their_half_circles():
    train = TwoMoons(train=101, noise=0.0).load().train
    points, moon = train["inputs"][:, 0], train["moon"]
    centre = np.array([[0.0, 0.0], [1.0, 0.5]])[moon]
    np.testing.assert_allclose(np.linalg.norm(points - centre, axis=1), 1.0, rtol=1e-6)
    above = points[:, 1] - centre[:, 1]
    assert (above[moon == 0] > -1e-6).all() and (above[moon == 1] < 1e-6).all()
    assert np.bincount(moon).tolist() == [51, 50]


def test_noise_has_its_deviation_and_parts_have_their_own():
    noisy = TwoMoons(train=4000, noise=0.2).load()
    assert not np.array_equal(noisy.train["inputs"][:200], noisy.validation["inputs"])
    radius = np.linalg.norm(noisy.train["inputs"][noisy.train["moon"] == 0, 0], axis=1)
    np.testing.assert_allclose(radius.std(), 0.2, rtol=0.1)


def test_shapes_and_seeds():
    check_shapes(TwoMoons(train=10))
    one, same, other = (TwoMoons(seed=seed).load().train["inputs"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
