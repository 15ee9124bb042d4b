"""bss: against the singular values, with a finite gradient where they repeat; and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import BSS, bss
from tests.transfer.sights import apart, begun, felt, learning, trained

RANDOM = np.random.default_rng(0)
both = jax.jit(jax.value_and_grad(bss), static_argnames="k")


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)], ids=str)
@pytest.mark.parametrize("k", [1, 2])
def test_against_an_svd(shape, k):
    features = RANDOM.normal(size=shape)
    u, s, v = np.linalg.svd(features, full_matrices=False)
    value, slope = both(jnp.float32(features), k=k)
    np.testing.assert_allclose(value, (s[-k:] ** 2).sum(), rtol=1e-4)
    wanted = 2 * (u[:, -k:] * s[-k:]) @ v[-k:]
    np.testing.assert_allclose(slope, wanted, atol=1e-4)


def test_value():
    np.testing.assert_allclose(bss(jnp.diag(jnp.array([3.0, 1.0, 2.0])), k=2), 5.0)  # by hand


@pytest.mark.parametrize(
    "features",
    [jnp.eye(3), jnp.zeros((3, 2)), jnp.ones((4, 3)), 1e-25 * jnp.eye(3), 1e15 * jnp.eye(2)],
    ids=["repeated", "zero", "rank one", "tiny", "large"],
)
def test_degenerate_features_have_a_finite_gradient(features):
    value, slope = both(features)
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_rotations_of_features_and_order_of_examples_do_not_count():
    features = RANDOM.normal(size=(6, 4))
    turned = features[::-1] @ np.linalg.qr(RANDOM.normal(size=(4, 4)))[0]
    values = [bss(jnp.float32(each), k=2) for each in (features, turned)]
    np.testing.assert_allclose(*values, rtol=1e-4)


def test_seeds_side_by_side():
    features = jnp.float32(RANDOM.normal(size=(2, 5, 3)))
    found = jax.jit(jax.vmap(jax.grad(bss)))(features)
    np.testing.assert_allclose(found[1], both(features[1])[1], atol=1e-5)


@pytest.mark.parametrize("k", [0, 4, 1.0])
def test_k_is_checked(k):
    with pytest.raises(BadInput, match=r"bss\.k must be an integer from 1 to .* 3"):
        bss(jnp.zeros((5, 3)), k=k)


def test_only_a_matrix():
    with pytest.raises(ValueError, match=r"\[N, D\], not \(2, 3, 4\)"):
        bss(jnp.zeros((2, 3, 4)))


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(view):
    method = BSS(k=2, view=view)
    sight = felt(method, 0)

    def own(features):
        return method.update(sight._replace(features=features), ())[0].mean()

    loss, slopes = jax.jit(jax.value_and_grad(own))(sight.features)
    wanted, slope = jax.value_and_grad(lambda f: bss(f, 2))(sight.features[view])
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)
    np.testing.assert_allclose(slopes[view], slope, rtol=1e-3, atol=1e-5)
    assert wanted > 0


@pytest.mark.slow
def test_in_a_run_small_singular_values_shrink():
    source = begun()
    free, held = (learning(BSS(weight, k=3)) for weight in (0.0, 1.0))
    (one, said), (other, _), (_, told) = (
        trained(run, source, 6) for run in (free, learning(None), held)
    )
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.9 * said["unlabelled_loss/row"]
