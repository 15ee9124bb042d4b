"""The operation that makes the first inf or NaN: the one that matters, at its line."""

import jax
import jax.numpy as jnp
import pytest

from mtl_jax.core.nonfinite_origin import find_origins

NAN = jnp.nan


def root(x):
    return jnp.sqrt(x).sum()


def masked(x, labels):
    """Missing labels are NaN, and have a quotient that is infinite; both are masked out."""
    error = jnp.where(jnp.isnan(labels), 0.0, (x - labels) ** 2)
    return jnp.where(x == 0.0, 0.0, 1.0 / x).sum() + error.sum()


def masked_root(x, labels):
    """As above, and a root that is NaN below 0."""
    return masked(x, labels) + root(x)


@jax.jit
def called(x):
    return jax.nn.relu(jnp.log(x)).sum()


def looped(x):
    return jax.lax.scan(lambda total, each: (total / each, None), 1.0, x)[0]


CASES = {
    "nan": (masked_root, ([-1.0, 2.0], [NAN, 1.0]), ("nan", "sqrt", "root")),
    "gradient": (jax.grad(root), ([0.0, 1.0],), ("inf", "div", "root")),
    "inner call": (called, ([-1.0, 1.0],), ("nan", "log", "called")),
    "vmap": (jax.vmap(called), ([[1.0, 2.0], [-1.0, 1.0]],), ("nan", "log", "called")),
    "remat": (jax.grad(jax.checkpoint(root)), ([0.0, 1.0],), ("inf", "div", "root")),
    "loop": (looped, ([1.0, 0.0],), ("inf", "scan", "looped")),
}


@pytest.mark.parametrize("case", list(CASES))
def test_operation(case):
    function, arrays, (value, operation, name) = CASES[case]
    (origin,) = find_origins(function, *map(jnp.array, arrays))
    assert origin[:2] == (value, operation)
    assert "test_nonfinite_origin.py:" in origin.location and f"({name}" in origin.location


def softmax(x):
    powers = jnp.exp(x)
    return powers / powers.sum()


def masked_softmax(x):
    masked = jnp.where(x > 0.0, x, -jnp.inf)
    return jnp.exp(masked - masked.max())


@pytest.mark.parametrize(
    ("function", "x", "operations"),
    [
        (softmax, [1.0, 100.0], [("inf", "exp"), ("nan", "div")]),
        (softmax, [-200.0, -200.0], [("nan", "div")]),
        (masked_softmax, [-1.0, -1.0], [("inf", "select_n"), ("nan", "sub")]),
        (masked_softmax, [-1.0, 1.0], []),
    ],
)
def test_an_inf_and_the_nan_that_it_becomes(function, x, operations):
    assert [origin[:2] for origin in find_origins(function, jnp.array(x))] == operations


def test_a_function_of_jax_is_located_where_it_is_called():
    def first(x):
        return jnp.where(x > 7.0, x, jnp.inf).sum()

    def second(x):
        return jnp.where(x > 7.0, x, jnp.inf).sum()

    for function in (first, second):  # The trace of `where` is cached.
        (origin,) = find_origins(function, jnp.array([7.0, 9.0]))
        assert origin.operation == "select_n" and function.__name__ in origin.location


def test_the_scope_names_the_layer_and_the_pass():
    def loss(x):
        with jax.named_scope("Dense_0"):
            return root(x)

    (forward,) = find_origins(loss, jnp.array([-1.0]))
    (backward,) = find_origins(jax.grad(jax.checkpoint(loss)), jnp.array([0.0]))
    assert forward.scope == "Dense_0"
    assert backward.scope.startswith("transpose(") and backward.scope.endswith("/Dense_0")


def test_what_is_masked_out_does_not_count():
    assert find_origins(masked, jnp.array([0.0, 2.0]), jnp.array([NAN, 1.0])) == []


def test_an_argument_that_is_not_finite_is_made_by_no_operation():
    assert find_origins(lambda x: 2.0 * x, jnp.array([NAN, 1.0])) == []


def test_keys_and_integers_are_finite():
    def draw(key, count):
        return jax.random.normal(key, (3,)) / count

    assert find_origins(draw, jax.random.key(0), jnp.float32(1)) == []
    assert find_origins(draw, jax.random.key(0), jnp.float32(0))[0][:2] == ("inf", "div")
