"""Pullbacks: every way back gives what plain differentiation gives, and chunks change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.execution import Execution
from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.model import features_by_task
from mtl_jax.core.tree import gram
from mtl_jax.train.objective import Objective, ObjectiveAux, StreamEncoder
from mtl_jax.train.vjp import forward_vjp

NAMES = ("row", "column", "height")
X = jnp.array(np.random.default_rng(0).random((5, 4, 4, 1), np.float32))
TARGET = jnp.array(np.random.default_rng(1).random((3, 5), np.float32))


def parts(trunk):
    """An objective of squared errors, parameters, and its losses in one piece."""
    net = nets.make_model(trunk, dict.fromkeys(NAMES, 1))
    params, stats = net.init(jax.random.key(0), X)

    def encode(kept, stats):
        first, stats = net.encode(kept, stats, X, train=True)
        second, _ = net.encode(kept, stats, 2.0 * X, train=True)
        return (first, second), stats

    def score(heads, features):
        both = [
            net.decode(heads, stats, {n: features[n][i] for n in NAMES}, train=True)[0]
            for i in range(2)
        ]
        logits = {name: both[0][name] - both[1][name] for name in NAMES}
        losses = [((logits[n][:, 0] - t) ** 2).mean() for n, t in zip(NAMES, TARGET, strict=True)]
        return jnp.stack(losses), ObjectiveAux({}, {}, {}, {})

    return Objective((StreamEncoder(NAMES, encode),), score, stats), params


TRUNKS = {"one": nets.MLP((6, 4)), "one a task": nets.PerTaskTrunk(nets.MLP((4,)))}
WAYS = [
    Execution(),
    Execution(jacobian_loop="unroll"),
    *(Execution(jacobian_chunk_size=n) for n in (1, 2, 3)),
]


def close(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, other)


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("execution", WAYS, ids=str)
def test_rows_are_the_jacobian(trunk, execution):
    objective, params = parts(TRUNKS[trunk])

    @jax.jit
    def found(params):
        losses, pullback, *_ = forward_vjp(objective, params, NAMES, execution)
        return losses, pullback.jacobian(), pullback.vjp(jnp.array([1.0, -2.0, 0.5]))

    @jax.jit
    def wanted(params):
        rows = jax.jacrev(objective.losses)(params)
        weighted = jax.grad(lambda p: objective.losses(p) @ jnp.array([1.0, -2.0, 0.5]))(params)
        own = jax.grad(lambda p: objective.losses(p).sum())(params)
        return objective.losses(params), {"shared": rows["shared"], "tasks": own["tasks"]}, weighted

    close(found(params), wanted(params))


def test_the_representation_is_gone_through_by_hand():
    objective, params = parts(TRUNKS["one"])
    heads = head_params(params)

    @jax.jit
    def found(params):
        _, pullback, *_ = forward_vjp(objective, params, NAMES, Execution())
        rows = pullback.feature_jacobian()
        total = jax.tree.map(lambda row: row.sum(0), rows["shared"])
        return rows["shared"], pullback.encoder_vjp(total), rows["tasks"]

    ((_, encode),) = objective.encoders
    first, second = map(np.asarray, encode(encoder_params(params), objective.batch_stats)[0])
    wanted = []
    for name, target in zip(NAMES, np.asarray(TARGET), strict=True):
        kernel = np.asarray(heads[name]["kernel"])
        wanted.append(2 * ((first - second) @ kernel - target[:, None]) / 5 @ kernel.T)
    rows, shared, tasks = found(params)
    np.testing.assert_allclose(rows[0], np.stack(wanted), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rows[1], -np.stack(wanted), rtol=1e-4, atol=1e-6)
    total = jax.jit(jax.grad(lambda p: objective.losses(p).sum()))(params)
    close(shared, total["shared"])
    close(tasks["heads"], total["tasks"]["heads"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "trunk", [nets.MLP((6, 4)), nets.MMoE(nets.MLP((4,)), 2)], ids=["one", "mmoe"]
)
def test_products_of_rows_that_are_not_kept(trunk):
    objective, params = parts(trunk)

    @jax.jit
    def found(params):
        _, pullback, *_ = forward_vjp(objective, params, NAMES, Execution(jacobian_chunk_size=1))
        return pullback.gramian_fn(), gram(pullback.jacobian()["shared"])

    one, other = found(params)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(one, one.T)
    stored = forward_vjp(objective, params, NAMES, Execution(jacobian_chunk_size=2)).pullback
    assert stored.gramian_fn is None


def test_without_one_representation_there_is_no_way_through():
    objective, params = parts(TRUNKS["one a task"])
    _, pullback, *_ = forward_vjp(objective, params, NAMES, Execution())
    assert pullback.feature_jacobian is None and pullback.encoder_vjp is None


def test_a_shared_feature_is_read_by_every_head():
    assert features_by_task(1, ["a", "b"]) == {"a": 1, "b": 1}
    assert features_by_task({"a": 1}, ["a"]) == {"a": 1}
