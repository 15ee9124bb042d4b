"""Binary cross-entropy: by hand, far from zero, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.losses import binary_cross_entropy


def test_by_hand(variant):
    logits = jnp.array([[0.0, np.log(3.0)], [0.0, -np.log(3.0)]])
    loss = variant(binary_cross_entropy)(logits, jnp.array([[1, 1], [0, 1]]))
    expected = [(np.log(2) + np.log(4 / 3)) / 2, (np.log(2) + np.log(4)) / 2]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_one_output_takes_labels_without_its_axis():
    logits = jnp.array([[2.0], [-1.0]])
    one = binary_cross_entropy(logits, jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(one, np.log1p(np.exp([-2.0, -1.0])), rtol=1e-6)


def test_far_from_zero_it_stays_finite_and_its_slope_is_right():
    logits = jnp.array([[200.0], [-200.0]])
    slope = jax.grad(lambda z: binary_cross_entropy(z, jnp.array([0.0, 1.0])).sum())(logits)
    np.testing.assert_allclose(binary_cross_entropy(logits, jnp.array([0.0, 1.0])), [200, 200])
    np.testing.assert_allclose(slope, [[1.0], [-1.0]])


@pytest.mark.parametrize(
    ("logits", "targets"),
    [(jnp.zeros((3, 2)), jnp.zeros(3)), (jnp.zeros((3, 1), int), jnp.zeros(3))],
)
def test_what_does_not_fit_is_refused(logits, targets):
    with pytest.raises(ValueError, match="binary_cross_entropy needs"):
        binary_cross_entropy(logits, targets)
