"""What every soft-sharing penalty keeps; a new one is tested by being exported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import sharing
from mtl_jax.core.validation import BadInput

K = 3

# Settings besides the weight. The law of order holds for graphs and clusters in which all tasks
# stand alike; their own tests have others.
SETTINGS = {
    "Clustered": {"clusters": ((0,), (1,), (2,)), "between": 0.5},
    "Dirty": {"sparse": 0.6},
    "GraphLaplacian": {"adjacency": ((0.0, 2.0, 2.0), (2.0, 0.0, 2.0), (2.0, 2.0, 0.0))},
    "Robust": {"outlier": 0.7},
}
PENALTIES = [
    make(weight=0.5, **SETTINGS.get(name, {}))
    for name, make in vars(sharing).items()
    if name[0].isupper()
]


def nuclear(matrix):
    return np.linalg.svd(matrix, compute_uv=False).sum()


# The value, for weight 1, when all K tasks have this kernel.
WHEN_EQUAL = {
    "Clustered": lambda w: 0.0,
    "CosineDistance": lambda w: K * (K - 1) / 2,
    "Dirty": lambda w: np.abs(w).sum(),
    "GraphLaplacian": lambda w: 0.0,
    "GroupL1Inf": lambda w: np.abs(w).sum(),
    "GroupL21": lambda w: np.sqrt(K) * np.abs(w).sum(),
    "MTRL": lambda w: K * np.square(w).sum(),
    "MeanL2": lambda w: 0.0,
    "Orthogonality": lambda w: 0.0,
    "Robust": lambda w: np.sqrt(K) * np.linalg.norm(w),
    "TTNorm": lambda w: np.sqrt(K) * (np.linalg.norm(w) + nuclear(w)),
    "TensorNormal": lambda w: K * w.size / (K + 0.01),
    "TraceNorm": lambda w: np.sqrt(K) * np.linalg.norm(w),
    "TuckerNorm": lambda w: np.sqrt(K) * (np.linalg.norm(w) + 2 * nuclear(w)),
}
# How the value of kernels alone grows with their scale, where not in proportion.
DEGREE = {
    "Clustered": 2,
    "CosineDistance": 0,
    "GraphLaplacian": 2,
    "MTRL": 2,
    "MeanL2": 2,
    "Orthogonality": 4,
    "TensorNormal": 0,
}
# Equal tasks make a covariance that is singular but for the ridge: its inverse raises rounding.
ROUNDING = {"TensorNormal": 3e-3}

every = pytest.mark.parametrize("penalty", PENALTIES, ids=str)


def params_of(kernel):
    """Parameters with one trunk a task: kernels `[K, 4, 5]`, a bias, and one frozen leaf."""
    bias = np.ones((K, 5), kernel.dtype)
    heads = {"digit": {"kernel": np.ones((5, 2), np.float32)}}
    trunk = {"layer": {"kernel": kernel, "bias": bias}, "frozen": None}
    return {"shared": {}, "tasks": {"trunk": trunk, "heads": heads}}


def drawn(seed=0):
    return np.random.default_rng(seed).normal(size=(K, 4, 5)).astype(np.float32)


def value_and_gradient(penalty, kernel):
    each = jax.value_and_grad(lambda kernel: penalty(params_of(kernel), None))
    return jax.tree.map(np.asarray, jax.jit(each)(kernel))


def test_there_are_penalties():
    assert {type(penalty).__name__ for penalty in PENALTIES} == set(WHEN_EQUAL)


@every
def test_repr_makes_it_again(penalty):
    assert eval(repr(penalty), dict(vars(sharing))) == penalty
    assert hash(penalty) == hash(dataclasses.replace(penalty))


@every
def test_equal_tasks(penalty):
    kernel = np.broadcast_to(drawn()[:1], (K, 4, 5))
    value, grad = value_and_gradient(penalty, kernel)
    wanted = penalty.weight * WHEN_EQUAL[type(penalty).__name__](kernel[0])
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    # No task is drawn another way than the others.
    atol = ROUNDING.get(type(penalty).__name__, 1e-5)
    np.testing.assert_allclose(grad, np.broadcast_to(grad[:1], grad.shape), atol=atol)


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
    degree = DEGREE.get(type(penalty).__name__, 1)
    scale = scale ** min(1.0, 2 / max(degree, 1))  # a fourth power would overflow.
    kernel = scale * np.einsum("k,ij->kij", weights, drawn()[0]).astype(np.float32)
    value, grad = value_and_gradient(penalty, kernel.astype(np.float32))
    assert np.isfinite(value) and np.isfinite(grad).all()


@every
@pytest.mark.parametrize("scale", [0.0, -0.0])
def test_zero_is_at_rest(penalty, scale):
    """Also where the norm has a kink; `jnp.abs`, say, has a slope of 1 there."""
    _, grad = value_and_gradient(penalty, np.full((K, 4, 5), scale, np.float32))
    np.testing.assert_array_equal(grad, np.zeros((K, 4, 5)))


@every
def test_the_value_grows_with_the_scale(penalty):
    degree = DEGREE.get(type(penalty).__name__, 1)
    each = jax.jit(lambda kernel: penalty({"tasks": {"trunk": {"kernel": kernel}}}, None))
    value = each(drawn())
    for scale in (1e-4, 100.0):
        wanted = scale**degree * np.asarray(value, np.float64)
        np.testing.assert_allclose(each(np.float32(scale) * drawn()), wanted, rtol=1e-4)


@every
def test_float64(penalty):
    with jax.enable_x64(True):
        value, grad = value_and_gradient(penalty, drawn().astype(np.float64))
    assert value.dtype == grad.dtype == np.float64
    np.testing.assert_allclose(value_and_gradient(penalty, drawn())[0], value, rtol=1e-5)


# Covariances that are held make a gradient that need not be the value's.
@pytest.mark.parametrize(
    "penalty", [p for p in PENALTIES if not isinstance(p, sharing.TensorNormal)], ids=str
)
def test_the_gradient_is_the_slope(penalty):
    with jax.enable_x64(True):
        kernel, way = drawn().astype(np.float64), drawn(7).astype(np.float64)
        slope = np.vdot(value_and_gradient(penalty, kernel)[1], way)
        ends = [value_and_gradient(penalty, kernel + h * way)[0] for h in (1e-5, -1e-5)]
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, slope, rtol=1e-4)


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
        dataclasses.replace(penalty, weight=-1.0)
