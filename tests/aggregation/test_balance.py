"""Balance: one gradient of many, at one price or the other, and whose is whose."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, weighting
from mtl_jax.aggregation.balance import aggregate, balance, pullback_only
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.core.balancing import CrossGramWeighting, GramWeighting, JacobianAggregator
from mtl_jax.solvers.quadratic import cosines

KEY = jax.random.key(0)
# Row k is the gradient of task k: two conflict, one is at right angles to both.
SHARED = np.array([[2.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 3.0]], np.float32)
TASKS = 10.0 * np.eye(3, dtype=np.float32)
LOSSES = jnp.array([1.0, 2.0, 3.0])


def pullback(cotangent):
    return {
        "shared": {"a": cotangent @ SHARED[:, :2], "b": cotangent @ SHARED[:, 2:]},
        "tasks": cotangent @ TASKS,
    }


@dataclasses.dataclass(frozen=True)
class Fixed(GramWeighting):
    """A Gram method with given weights, that hands on what it saw."""

    def init(self, num_tasks):
        return jnp.zeros(())

    def weigh_gram(self, gram, state, key):
        return jnp.array([0.5, 1.0, -2.0]) + 0.0 * gram[0], state + gram.sum()


def flat(gradient):
    return np.concatenate([gradient["shared"]["a"], gradient["shared"]["b"]])


def test_equal_is_the_gradient_of_the_sum():
    def losses_of(params):
        return jnp.stack(
            [(params["shared"] ** 2).sum(), (params["tasks"] * params["shared"]).sum()]
        )

    params = {"shared": jnp.array([1.0, -2.0]), "tasks": jnp.array([3.0, 0.5])}
    losses, pull = jax.vjp(losses_of, params)
    found = balance(weighting.Equal(), losses, lambda c: pull(c)[0], (), KEY)
    expected = jax.grad(lambda p: losses_of(p).sum())(params)
    jax.tree.map(np.testing.assert_allclose, found.gradient, expected)
    np.testing.assert_array_equal(found.weights, [1.0, 1.0])


def test_a_loss_weighting_pays_one_pass():
    calls = []

    def counted(cotangent):
        calls.append(cotangent)
        return pullback(cotangent)

    balance(weighting.Equal(), LOSSES, counted, (), KEY)
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0], [1.0, 1.0, 1.0])


def test_a_gram_method_on_a_jacobian_by_hand():
    found = jax.jit(lambda losses: balance(Fixed(), losses, pullback, jnp.float32(1.0), KEY))(
        LOSSES
    )
    np.testing.assert_allclose(flat(found.gradient), [0.0, 1.0, -6.0])
    # What belongs to a task keeps that task's gradient, whatever its weight.
    np.testing.assert_allclose(found.gradient["tasks"], [10.0, 10.0, 10.0])
    np.testing.assert_allclose(found.weights, [0.5, 1.0, -2.0])
    np.testing.assert_allclose(found.state, 1.0 + 4 + 2 + 9 - 2 * 2)  # 1 + the Gram's sum.


def test_pcgrad_of_two_by_hand():
    """(2, 0) and (-1, 1): each off the other is (1, 1) and (0, 1)."""
    found = balance(
        aggregation.PCGrad(), LOSSES[:2], lambda c: pullback(jnp.append(c, 0.0)), (), KEY
    )
    np.testing.assert_allclose(flat(found.gradient)[:2], [1.0, 2.0], rtol=1e-5)


def test_the_state_goes_round():
    method = weighting.Uncertainty()
    state = method.init(3)
    once = balance(method, LOSSES, pullback, state, KEY)
    twice = balance(method, LOSSES, pullback, once.state, KEY)
    np.testing.assert_allclose(once.weights, [0.5, 0.5, 0.5])
    assert (np.asarray(twice.weights) != 0.5).any()
    np.testing.assert_allclose(flat(once.gradient), once.weights @ SHARED, rtol=1e-6)


GRAM_WEIGHTS = np.array([0.5, 1.0, -2.0])


@pytest.mark.parametrize(
    ("scale", "factor"),
    [
        ("paper", 1.0),
        ("sum", 3 / 3.5),
        ("mean", 1 / 3.5),
        ("unit", 1 / np.sqrt(37)),  # The shared part is (0, 1, -6).
        ("equal", np.sqrt(11 / 37)),  # The plain sum is (1, 1, 3).
    ],
)
@pytest.mark.parametrize("heads", ["paper", "own", "weighted"])
def test_the_length_of_the_step_and_whose_gradient_is_weighted(scale, factor, heads):
    options = BalanceOptions(head_gradients=heads, rescale=scale)
    found = balance(Fixed(), LOSSES, pullback, jnp.float32(1.0), KEY, options)
    np.testing.assert_allclose(flat(found.gradient), factor * np.array([0, 1, -6]), rtol=1e-5)
    np.testing.assert_allclose(found.weights, factor * GRAM_WEIGHTS, rtol=1e-5)
    tasks = factor * GRAM_WEIGHTS if heads == "weighted" else np.ones(3)
    np.testing.assert_allclose(found.gradient["tasks"], 10.0 * tasks, rtol=1e-5)


@pytest.mark.parametrize(("heads", "weight"), [("paper", 1 / 3), ("weighted", 1 / 3), ("own", 1)])
def test_heads_of_a_loss_weighting(heads, weight):
    method = weighting.Uncertainty()
    options = BalanceOptions(head_gradients=heads, rescale="mean")
    found = balance(method, LOSSES, pullback, method.init(3), KEY, options)
    np.testing.assert_allclose(found.weights, [1 / 3] * 3, rtol=1e-6)
    expected = 10.0 * weight
    np.testing.assert_allclose(found.gradient["tasks"], [expected] * 3, rtol=1e-6)


def test_rows_of_a_pullback_alone():
    """What belongs to tasks has any shape: its gradient is the sum over the tasks."""
    owned = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    found = pullback_only(lambda c: {"shared": c @ SHARED, "tasks": c @ owned}, LOSSES).jacobian()
    np.testing.assert_array_equal(found["shared"], SHARED)
    np.testing.assert_array_equal(found["tasks"], [0.0 + 2.0 + 4.0, 1.0 + 3.0 + 5.0])


def test_a_zero_step_stays_zero():
    def still(cotangent):
        return jax.tree.map(lambda leaf: 0.0 * leaf, pullback(cotangent))

    found = balance(weighting.Equal(), LOSSES, still, (), KEY, BalanceOptions(rescale="unit"))
    np.testing.assert_array_equal(flat(found.gradient), np.zeros(3))


def test_a_space_that_is_not_there_is_refused():
    options = BalanceOptions(jacobian_wrt="representation")
    with pytest.raises(ValueError, match="needs heads that all read one representation"):
        balance(Fixed(), LOSSES, pullback, jnp.float32(1.0), KEY, options)


@dataclasses.dataclass(frozen=True)
class Crossed(CrossGramWeighting):
    """Weighs by the diagonal of what it is given."""

    def init(self, num_tasks):
        return ()

    def weigh_cross(self, cross, state, key):
        return jnp.diagonal(cross), state


def test_two_other_batches_decide_about_the_third():
    once = pullback_only(pullback, LOSSES)
    twice = pullback_only(lambda c: pullback(2.0 * c), LOSSES)
    found = balance(Crossed(), LOSSES, once._replace(extra_batches=(once, twice)), (), KEY)
    np.testing.assert_allclose(found.weights, [8.0, 4.0, 18.0])  # Twice the squared lengths.
    np.testing.assert_allclose(flat(found.gradient), [12.0, 4.0, 54.0])
    np.testing.assert_allclose(found.gradient["tasks"], [10.0, 10.0, 10.0])
    with pytest.raises(ValueError, match="needs extra_batches, the pullbacks of two more batches"):
        balance(Crossed(), LOSSES, once, (), KEY)


@dataclasses.dataclass(frozen=True)
class Largest(JacobianAggregator):
    """Takes the largest entry of each column of the Jacobian; knows the losses."""

    def init(self, num_tasks, shared):
        return jnp.zeros(num_tasks)

    def pre_step(self, losses, state):
        return losses

    def combine(self, jacobian, state, key):
        return jax.tree.map(lambda leaf: leaf.max(0), jacobian), state, state + 1.0


def test_a_combiner_sees_the_jacobian_and_the_losses():
    found = balance(Largest(), LOSSES, pullback, jnp.zeros(3), KEY)
    np.testing.assert_allclose(flat(found.gradient), [2.0, 1.0, 3.0])
    np.testing.assert_allclose(found.weights, LOSSES)
    np.testing.assert_allclose(found.state, LOSSES + 1.0)


def test_cosines_beside_a_zero_gradient_are_zero():
    found, _ = cosines(jnp.array([[4.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(found, [[1.0, 0.0], [0.0, 0.0]])


def test_what_weighs_nothing_is_refused():
    with pytest.raises(TypeError, match=r"needs a class of mtl_jax\.core\.balancing, not 'sum'"):
        balance("sum", LOSSES, pullback, (), KEY)


JACOBIAN = {"a": jnp.array(SHARED[:, :2]), "b": jnp.array(SHARED[:, 2:])}


def flat_rows(tree):
    return np.concatenate([tree["a"], tree["b"]], -1)


@pytest.mark.parametrize(
    "method",
    [aggregation.UPGrad(), aggregation.MGDA(), aggregation.PCGrad(), aggregation.TrimmedMean(),
     aggregation.GradDrop(leak=0.25)],
    ids=str,
)  # fmt: skip
def test_aggregate_is_the_shared_part_of_balance(method):
    gradient, weights = jax.jit(lambda rows, key: aggregate(method, rows, key))(JACOBIAN, KEY)
    row = {"a": SHARED[0, :2], "b": SHARED[0, 2:]}
    state = method.init(3, row) if isinstance(method, JacobianAggregator) else method.init(3)
    found = balance(method, LOSSES, pullback, state, KEY)
    np.testing.assert_allclose(flat_rows(gradient), flat(found.gradient), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(weights, found.weights, rtol=1e-6, atol=1e-7)


def test_aggregate_by_hand():
    """UPGrad of (2, 0, 0), (-1, 1, 0), (0, 0, 3): projected, (1, 1, 0), (0, 1, 0), (0, 0, 3)."""
    gradient, weights = aggregate(aggregation.UPGrad(ridge=0.0), JACOBIAN, KEY)
    np.testing.assert_allclose(flat_rows(gradient), np.array([1, 2, 3]) / 3, atol=1e-5)
    np.testing.assert_allclose(weights @ SHARED, np.array([1, 2, 3]) / 3, atol=1e-5)
    # The shortest vector is at right angles to all differences of rows.
    gradient, weights = aggregate(aggregation.MGDA(), JACOBIAN, KEY)
    shortest = flat_rows(gradient)
    np.testing.assert_allclose(SHARED @ shortest, [shortest @ shortest] * 3, rtol=1e-5)
    np.testing.assert_allclose([weights.sum(), weights.min() > 0], 1.0, rtol=1e-6)
    # In each column one number lies in the middle.
    gradient, weights = aggregate(aggregation.TrimmedMean(trim=1), JACOBIAN, KEY)
    np.testing.assert_array_equal(flat_rows(gradient), np.median(SHARED, 0))
    assert weights.shape == (3,)


def test_aggregate_keeps_one_sign_of_a_key():
    """Of the first column, 2 or -1 is kept; the others have one sign and are summed."""
    firsts = set()
    for seed in range(20):
        gradient, _ = aggregate(aggregation.GradDrop(), JACOBIAN, jax.random.key(seed))
        found = flat_rows(gradient)
        np.testing.assert_array_equal(found[1:], [1.0, 3.0])
        firsts.add(float(found[0]))
    assert firsts == {2.0, -1.0}


def test_aggregate_goes_by_the_state_that_it_is_given():
    gradient, weights = aggregate(Largest(), JACOBIAN, KEY)
    np.testing.assert_array_equal(flat_rows(gradient), [2.0, 1.0, 3.0])
    np.testing.assert_array_equal(weights, np.zeros(3))
    _, weights = aggregate(Largest(), JACOBIAN, KEY, LOSSES)
    np.testing.assert_array_equal(weights, LOSSES)
    method = aggregation.MGDA(normalization="loss")
    found = balance(method, LOSSES, pullback, method.init(3), KEY)
    _, weights = aggregate(method, JACOBIAN, KEY, LOSSES)
    np.testing.assert_allclose(weights, found.weights, rtol=1e-6)


@pytest.mark.parametrize(
    "method",
    [weighting.Equal(), weighting.Uncertainty(), aggregation.AutoLambda(), Crossed()],
    ids=lambda method: type(method).__name__,
)
def test_aggregate_refuses_what_needs_more_than_gradients(method):
    with pytest.raises(TypeError, match=r"aggregate needs an aggregator of gradients, not "):
        aggregate(method, JACOBIAN, KEY)
