"""Maximum mean discrepancy: values by hand, no bias, what it is blind to, several layers."""

from functools import partial
from math import exp

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.domain_adaptation import AdaptiveGaussians, FixedGaussians, joint_mmd, multi_kernel_mmd
from tests.domain_adaptation.clouds import clouds, descended, gap

# Four points whose mean squared distance over all 16 pairs is 2.5.
SOURCE = jnp.array([[0.0], [2.0]])
TARGET = jnp.array([[1.0], [3.0]])
BOTH_WAYS = pytest.mark.parametrize("linear", [False, True], ids=["quadratic", "linear"])


def test_quadratic_value(variant):
    loss = variant(partial(multi_kernel_mmd, factors=(1.0,)))(SOURCE, TARGET)
    by_hand = 2 * exp(-4 / 5) - 2 * (3 * exp(-1 / 5) + exp(-9 / 5)) / 4
    np.testing.assert_allclose(loss, by_hand, rtol=1e-5)


def test_linear_value():
    loss = jax.jit(partial(multi_kernel_mmd, factors=(0.5, 1.0), linear=True))(SOURCE, TARGET)
    one, half = (2 * exp(-4 / m) - exp(-9 / m) - exp(-1 / m) for m in (5.0, 2.5))  # by hand
    np.testing.assert_allclose(loss, one + half, rtol=1e-5)


@BOTH_WAYS
def test_batches_of_one_distribution_have_mean_zero(linear):
    draws = jax.random.normal(jax.random.key(0), (2, 400, 8, 2))
    losses = jax.jit(jax.vmap(partial(multi_kernel_mmd, linear=linear)))(*draws)
    assert abs(losses.mean()) < 4 * losses.std() / 20
    assert (losses < 0).any()


def test_equal_batches_lie_between_the_bounds():
    source, _ = clouds()
    loss = jax.jit(multi_kernel_mmd)(source, source)
    assert -2 * 5 / 16 < loss < 0
    np.testing.assert_allclose(jax.jit(multi_kernel_mmd)(0 * source, 0 * source), 0.0, atol=1e-6)


@BOTH_WAYS
def test_symmetric_and_of_no_scale_and_no_place(linear):
    source, target = clouds()
    f = jax.jit(partial(multi_kernel_mmd, linear=linear))
    loss = f(source, target)
    assert loss > 0.1
    np.testing.assert_allclose(f(target, source), loss, rtol=1e-5)
    np.testing.assert_allclose(f(100 * source, 100 * target), loss, rtol=1e-4)
    np.testing.assert_allclose(f(source + 300.0, target + 300.0), loss, rtol=1e-3)


def test_order_matters_in_linear_time_only():
    source, target = clouds()
    mixed = source[jax.random.permutation(jax.random.key(2), 16)]
    f = jax.jit(multi_kernel_mmd)
    np.testing.assert_allclose(f(mixed, target), f(source, target), rtol=1e-5)
    f = jax.jit(partial(multi_kernel_mmd, linear=True))
    assert abs(f(mixed, target) - f(source, target)) > 1e-3
    turned = [jnp.roll(x, 3, 0) for x in (source, target)]
    np.testing.assert_allclose(f(*turned), f(source, target), rtol=1e-5)


@BOTH_WAYS
def test_descent_brings_clouds_together(linear):
    source, target = clouds(shift=3.0)
    loss = partial(multi_kernel_mmd, linear=linear)
    assert gap(*descended(loss, source, target, rate=3.0)) < 0.3 * gap(source, target)


def test_no_gradient_through_the_width():
    """The value does not depend on the scale: through the width, the slope would be 0."""
    source, target = clouds()
    slope = jax.jit(jax.grad(lambda c: multi_kernel_mmd(c * source, c * target)))(1.0)
    assert abs(slope) > 0.1


@BOTH_WAYS
def test_equal_points_have_finite_gradients(linear):
    points = jnp.ones((4, 3))
    grads = jax.jit(jax.grad(partial(multi_kernel_mmd, linear=linear), (0, 1)))(points, points)
    np.testing.assert_array_equal(grads, np.zeros((2, 4, 3)))


def test_batches_may_differ_in_size():
    source, target = clouds()
    loss = jax.jit(multi_kernel_mmd)(source, target[:5])
    np.testing.assert_allclose(jax.jit(multi_kernel_mmd)(target[:5], source), loss, rtol=1e-5)


def test_several_layers_multiply_their_kernels(variant):
    kernels = (FixedGaussians((1.0,)), FixedGaussians((1.0,)))
    f = variant(partial(joint_mmd, kernels=kernels))
    by_hand = 2 * exp(-4) - 2 * (3 * exp(-1) + exp(-9)) / 4
    np.testing.assert_allclose(f((SOURCE, SOURCE), (TARGET, TARGET)), by_hand, rtol=1e-5)
    # A layer that is everywhere the same changes nothing.
    flat = jnp.ones((2, 4))
    by_hand = 2 * exp(-2) - 2 * (3 * exp(-0.5) + exp(-4.5)) / 4
    np.testing.assert_allclose(f((SOURCE, flat), (TARGET, flat)), by_hand, rtol=1e-5)


@BOTH_WAYS
def test_one_layer_is_the_plain_discrepancy(linear):
    source, target = clouds()
    f = partial(joint_mmd, kernels=(AdaptiveGaussians(),), linear=linear)
    plain = jax.jit(partial(multi_kernel_mmd, linear=linear))(source, target)
    np.testing.assert_allclose(jax.jit(f)((source,), (target,)), plain, rtol=1e-6)


def test_joint_sees_what_no_layer_sees():
    """Both layers have equal marginals, with opposite signs of dependence."""
    x = jnp.array([[-1.0], [-1.0], [1.0], [1.0]])
    kernels = (FixedGaussians((1.0,)),)
    alone = jax.jit(partial(joint_mmd, kernels=kernels))((x,), (x,))
    together = jax.jit(partial(joint_mmd, kernels=2 * kernels))((x, x), (x, -x))
    assert together > alone + 0.3


@pytest.mark.parametrize(
    ("source", "target", "linear", "text"),
    [
        (jnp.zeros((2, 3)), jnp.zeros((2, 4)), False, r"\[B, D\].*\(2, 3\).*\(2, 4\)"),
        (jnp.zeros((1, 3)), jnp.zeros((2, 3)), False, "at least 2 examples"),
        (jnp.zeros((2, 3)), jnp.zeros((3, 3)), True, r"one size in linear time, not \(2, 3\)"),
        (jnp.zeros((2, 3), int), jnp.zeros((2, 3), int), False, "needs floats"),
    ],
)
def test_what_does_not_fit_is_refused(source, target, linear, text):
    with pytest.raises(ValueError, match=f"multi_kernel_mmd .*{text}"):
        multi_kernel_mmd(source, target, linear=linear)


def test_layers_must_fit():
    with pytest.raises(ValueError, match="one kernel for each layer, not 2 kernels, 1 layers"):
        joint_mmd((SOURCE,), (TARGET,))
    with pytest.raises(ValueError, match="layers of the same examples"):
        joint_mmd((SOURCE, jnp.zeros((3, 2))), (TARGET, jnp.zeros((3, 2))))


@pytest.mark.parametrize(
    "value",
    [(-1.0, 1.0)],
    ids=str,
)
def test_settings_are_checked(value):
    with pytest.raises(BadInput, match=r"AdaptiveGaussians\.factors must be a tuple"):
        multi_kernel_mmd(SOURCE, TARGET, factors=value)
    with pytest.raises(BadInput, match=r"FixedGaussians\.deviations must be a tuple"):
        FixedGaussians(value)


@pytest.mark.parametrize("kernel", [AdaptiveGaussians((1.0, 2.0)), FixedGaussians()], ids=str)
def test_repr_makes_it_again(kernel):
    assert eval(repr(kernel)) == kernel
