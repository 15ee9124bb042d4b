"""Per layer: each layer weighed by its own Gram matrix, state and key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation
from mtl_jax.aggregation import MGDA, PCGrad, PerLayer, UPGrad
from mtl_jax.aggregation.per_layer import layers
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.tree import gram
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
combine = jax.jit(lambda method, rows: PerLayer(method).combine(rows, (), KEY), static_argnums=0)
MADE = [make() for name, make in vars(aggregation).items() if name[0].isupper()]
GRAMS = [method for method in MADE if isinstance(method, GramWeighting)]


def jacobian(num_tasks, seed=0):
    draw = np.random.default_rng(seed).normal
    return {
        "Dense_0": {
            "bias": jnp.array(draw(size=(num_tasks, 2)), "float32"),
            "kernel": jnp.array(draw(size=(num_tasks, 3, 2)), "float32"),
        },
        "Dense_1": {"kernel": jnp.array(draw(size=(num_tasks, 2, 2)), "float32")},
    }


def test_layers_are_leaves_of_one_parent():
    tree = {"a": {"Dense_0": {"bias": 0, "kernel": 0}, "Dense_1": {"kernel": 0}}, "scale": 0}
    assert layers(tree) == {"a/Dense_0": [0, 1], "a/Dense_1": [2], "": [3]}


@pytest.mark.parametrize("method", [MGDA(), UPGrad()], ids=str)
def test_each_layer_is_weighed_as_if_alone(method):
    rows = jacobian(4)
    whole, shares, _ = combine(method, rows)
    weights, lengths = [], []
    weigh = jax.jit(method.weigh_gram)
    for name, layer in rows.items():
        matrix = gram(layer)
        own, _ = weigh(matrix, (), KEY)
        for leaf, part in layer.items():
            wanted = jnp.tensordot(own, part, 1)
            np.testing.assert_allclose(whole[name][leaf], wanted, rtol=1e-4, atol=1e-6)
        weights.append(own)
        lengths.append(np.sqrt(np.diag(matrix)))
    wanted = np.average(weights, axis=0, weights=lengths)
    np.testing.assert_allclose(shares, wanted, rtol=1e-4, atol=1e-6)
    assert np.abs(weights[0] - weights[1]).max() > 0.05


def test_by_hand():
    rows = {
        "a": {"w": jnp.array([[3.0, 0.0], [0.0, 1.0]])},  # no conflict: the sum.
        "b": {"w": jnp.array([[1.0], [-4.0]])},  # opposed: both are projected to zero.
        "c": {"w": jnp.array([[0.0], [2.0]])},
    }
    whole, shares, _ = combine(PCGrad(), rows)
    for name, wanted in {"a": [3.0, 1.0], "b": [0.0], "c": [2.0]}.items():
        np.testing.assert_allclose(whole[name]["w"], wanted, atol=1e-6)
    # Weights of b, by hand: 1 + 4 and 1 + 1/4; lengths of the rows 3, 1, 0 and 1, 4, 2.
    np.testing.assert_allclose(shares, [(3 + 5) / 4, (1 + 4 * 1.25 + 2) / 7], rtol=1e-6)


def test_a_zero_row_has_the_plain_mean_of_its_weights():
    rows = {"a": {"w": jnp.array([[0.0], [1.0]])}, "b": {"w": jnp.array([[0.0], [2.0]])}}
    _, shares, _ = combine(MGDA(), rows)
    np.testing.assert_allclose(shares, [1.0, 0.0], atol=1e-6)  # a zero row takes all.


def test_layers_draw_on_their_own():
    rows = jacobian(4)["Dense_0"]["kernel"]
    rows -= 0.99 * rows.mean(0, keepdims=True)
    whole, _, _ = combine(PCGrad(), {"a": {"w": rows}, "b": {"w": rows}})
    assert jnp.abs(whole["a"]["w"] - whole["b"]["w"]).max() > 1e-3


@pytest.mark.parametrize("method", GRAMS, ids=str)
def test_every_gram_method_fits(method):
    if method.uses_post_step:
        pytest.skip(f"{method} observes losses after the step")
    wrapped, shared = PerLayer(method), jax.tree.map(lambda leaf: leaf[0], jacobian(3))

    def step():
        before = wrapped.init(3, shared)
        state = wrapped.pre_step(jnp.ones(3), before)
        return before, wrapped.combine(jacobian(3), state, KEY)

    before, (gradient, shares, after) = jax.eval_shape(step)
    assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, shared)
    assert shares.shape == (3,)
    assert before == after
    assert all(len(leaf.shape) >= 1 and leaf.shape[0] == 2 for leaf in jax.tree.leaves(before))


class Counts(GramWeighting):
    """Weighs by a loss that it read."""

    def init(self, num_tasks):
        return jnp.zeros(num_tasks)

    def pre_step(self, losses, state):
        return state + losses

    def weigh_gram(self, gram, state, key):
        return state, state


class Observes(Counts):
    """Wants the losses after the step too."""

    def post_step(self, losses, state):
        return state


def test_losses_are_passed_on_and_state_is_by_layer():
    assert isinstance(Counts(), GramWeighting)
    method = PerLayer(Counts())
    state = method.init(3, jax.tree.map(lambda leaf: leaf[0], jacobian(3)))
    assert state.shape == (2, 3)
    state = method.pre_step(jnp.array([1.0, 2.0, 3.0]), state)
    _, shares, _ = method.combine(jacobian(3), state, KEY)
    np.testing.assert_allclose(shares, [1.0, 2.0, 3.0], rtol=1e-6)
    assert PerLayer(MGDA()).pre_step(jnp.ones(3), ()) == ()


@pytest.mark.parametrize(
    "method",
    [aggregation.TrimmedMean(), Observes()],
    ids=["a combiner", "an observer"],
)
def test_bad_settings(method):
    with pytest.raises(BadInput, match=r"PerLayer.method must (be a method with|not observe)"):
        PerLayer(method)
