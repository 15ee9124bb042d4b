"""What every soft-sharing penalty keeps; a new one is tested by being exported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import sharing
from mtl_jax.checks import BadInput

PENALTIES = [make(weight=0.5) for name, make in vars(sharing).items() if name[0].isupper()]
K = 3

# The value, for weight 1, when all K tasks have the same kernel of this norm.
WHEN_EQUAL = {"MeanL2": lambda norm: 0.0, "TraceNorm": lambda norm: np.sqrt(K) * norm}

every = pytest.mark.parametrize("penalty", PENALTIES, ids=str)


def params_of(kernel):
    """Parameters with one trunk a task: kernels `[K, 4, 5]`, a bias, and one frozen leaf."""
    bias = np.ones((K, 5), np.float32)
    heads = {"digit": {"kernel": np.ones((5, 2), np.float32)}}
    trunk = {"layer": {"kernel": kernel, "bias": bias}, "frozen": None}
    return {"shared": {}, "tasks": {"trunk": trunk, "heads": heads}}


def drawn(seed=0):
    return np.random.default_rng(seed).normal(size=(K, 4, 5)).astype(np.float32)


def value_and_gradient(penalty, kernel):
    each = jax.value_and_grad(lambda kernel: penalty(params_of(kernel), None))
    return jax.tree.map(np.asarray, jax.jit(each)(kernel))


def test_there_are_penalties():
    assert len(PENALTIES) >= 2


@every
def test_repr_makes_it_again(penalty):
    assert eval(repr(penalty), dict(vars(sharing))) == penalty
    assert hash(penalty) == hash(dataclasses.replace(penalty))


@every
def test_equal_tasks(penalty):
    kernel = np.broadcast_to(drawn()[:1], (K, 4, 5))
    value, grad = value_and_gradient(penalty, kernel)
    wanted = penalty.weight * WHEN_EQUAL[type(penalty).__name__](np.linalg.norm(kernel[0]))
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    # No task is drawn another way than the others.
    np.testing.assert_allclose(grad, np.broadcast_to(grad[:1], grad.shape), atol=1e-5)


@every
def test_the_order_of_tasks_does_not_matter(penalty):
    value, grad = value_and_gradient(penalty, drawn())
    order = np.array([2, 0, 1])
    again, moved = value_and_gradient(penalty, drawn()[order])
    np.testing.assert_allclose(again, value, rtol=1e-5)
    np.testing.assert_allclose(moved, grad[order], atol=1e-5)
    assert value.shape == () and value.dtype == np.float32 and value > 0


@every
@pytest.mark.parametrize("scale", [0.0, 1e-18, 1.0, 1e15])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (1.0, -2.0, 3.0)], ids=str)
def test_gradients_are_finite_for_dependent_tasks(penalty, scale, weights):
    kernel = scale * np.einsum("k,ij->kij", weights, drawn()[0]).astype(np.float32)
    value, grad = value_and_gradient(penalty, kernel.astype(np.float32))
    assert np.isfinite(value) and np.isfinite(grad).all()


@every
def test_it_vmaps_over_seeds(penalty):
    kernels = np.stack([drawn(0), drawn(1)])
    both = jax.jit(jax.vmap(lambda kernel: penalty(params_of(kernel), None)))(jnp.asarray(kernels))
    alone = [value_and_gradient(penalty, kernel)[0] for kernel in kernels]
    np.testing.assert_allclose(both, alone, rtol=1e-5)


@every
@pytest.mark.parametrize(
    "tasks", [{"heads": {}}, {"heads": {}, "trunk": {"kernel": None}}], ids=str
)
def test_without_a_trunk_a_task_it_says_what_to_give(penalty, tasks):
    with pytest.raises(BadInput, match=r"needs one trunk a task: trunk=nets\.PerTask"):
        penalty({"shared": {}, "tasks": tasks}, None)


@every
def test_settings_are_checked(penalty):
    with pytest.raises(BadInput, match="weight must be at least 0"):
        type(penalty)(weight=-1.0)
