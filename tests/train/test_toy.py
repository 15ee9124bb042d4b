"""Descents: a path is what optax and the method do by hand, and observers see the next losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, optimizers, weighting
from mtl_jax.config.toy import PublishedOutcome, ToyExperiment, ToyRun
from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import BadInput
from mtl_jax.train import optimize_trajectory

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Bowls:
    """Squared distances from two places; the Pareto set is the line between them."""

    plot_limits = ((-2.0, 2.0), (-2.0, 2.0))

    def losses(self, point):
        return jnp.stack([((point - place) ** 2).sum() for place in jnp.eye(2)])

    def distance_to_pareto(self, point):
        return jnp.abs(point.sum() - 1.0) / jnp.sqrt(2.0)


BOWLS = ToyRun(
    name="sum", problem=Bowls(), balance=weighting.Equal(), steps=6, num_records=3,
    optimizer=optimizers.SGD(0.1, momentum=0.0), initial_points=((2.0, 2.0), (-1.0, 0.0)),
)  # fmt: skip


def test_plain_descent_by_hand():
    points, losses, weights = jax.jit(
        lambda: optimize_trajectory(BOWLS, jnp.array([2.0, 2.0]), KEY)
    )()
    distance = 1.5 * 0.6 ** np.arange(0, 7, 2)  # Each step leaves 1 - 2 * 2 * 0.1 of it.
    np.testing.assert_allclose(points, 0.5 + np.stack([distance] * 2, 1), rtol=1e-6)
    # Each loss is (d + 1/2)^2 + (d - 1/2)^2.
    np.testing.assert_allclose(losses, np.stack([2 * distance**2 + 0.5] * 2, 1), rtol=1e-5)
    np.testing.assert_array_equal(weights, np.ones((4, 2)))


def test_a_sharpness_aware_descent_by_hand():
    run = BOWLS.replace(optimizer=optimizers.SAM(BOWLS.optimizer, rho=0.3))
    points, *_ = jax.jit(lambda: optimize_trajectory(run, jnp.array([2.0, -1.0]), KEY))()
    w, path = np.array([2.0, -1.0]), [[2.0, -1.0]]
    for step in range(1, 7):
        g = 4.0 * w - 2.0
        w = w - 0.1 * (4.0 * (w + 0.3 * g / np.linalg.norm(g)) - 2.0)
        path += [w] if step % 2 == 0 else []
    np.testing.assert_allclose(points, path, rtol=1e-5)


def test_each_task_is_balanced_at_its_own_worst_point():
    """SAMO without a local part: both tasks at the worst point of their sum."""
    run = BOWLS.replace(balance=aggregation.SAMO(BOWLS.balance, rho=0.3, beta=0.0))
    sharp = BOWLS.replace(optimizer=optimizers.SAM(BOWLS.optimizer, rho=0.3))
    found, wanted = (
        jax.jit(lambda one=one: optimize_trajectory(one, jnp.array([2.0, -1.0]), KEY))()[0]
        for one in (run, sharp)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_shortest_combination_stops_on_the_pareto_set():
    run = BOWLS.replace(balance=aggregation.MGDA(), steps=60)
    points, *_ = jax.jit(lambda: optimize_trajectory(run, jnp.array([0.0, 0.0]), KEY))()
    assert run.problem.distance_to_pareto(points[-1]) < 1e-4


@dataclasses.dataclass(frozen=True)
class Watcher(LossWeighting):
    """Weighs all alike and keeps the losses that it was told of."""

    def init(self, num_tasks):
        return jnp.zeros(num_tasks)

    def weigh_losses(self, losses, state, key):
        return 1.0 + 0.0 * losses + 0.0 * state, state

    def post_step(self, losses, state):
        return state + losses


@dataclasses.dataclass(frozen=True)
class Teller(Watcher):
    """Weighs by what it was told."""

    def weigh_losses(self, losses, state, key):
        return state, state


def test_an_observer_is_told_the_losses_after_the_step():
    one = BOWLS.replace(balance=Teller(), steps=2, num_records=2)
    points, losses, weights = jax.jit(
        lambda: optimize_trajectory(one, jnp.array([2.0, 2.0]), KEY)
    )()
    np.testing.assert_array_equal(weights[:2], np.zeros((2, 2)))  # It knows nothing yet.
    np.testing.assert_allclose(weights[2], losses[1])
    np.testing.assert_array_equal(points[1], points[0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"steps": 7}, "ToyRun.steps must be a multiple of num_records, 3, not 7"),
        ({"num_records": 0}, "ToyRun.num_records must be at least 1, not 0"),
        ({"initial_points": ()}, "ToyRun.initial_points must be points of one dimension"),
        (
            {"initial_points": ((1.0,), (1.0, 2.0))},
            "ToyRun.initial_points must be points of one dimension",
        ),
        ({"name": "a/b"}, "ToyRun.name must be a plain file name"),
    ],
)
def test_bad_settings_are_named(changes, text):
    with pytest.raises(BadInput, match=text):
        BOWLS.replace(**changes)


def test_an_optimizer_that_needs_validation_is_named():
    waiting = optimizers.ReduceOnPlateau(BOWLS.optimizer)
    with pytest.raises(BadInput, match=r"ToyRun\.optimizer must not need validation"):
        BOWLS.replace(optimizer=waiting)


def test_bad_tables_are_named():
    with pytest.raises(BadInput, match="must have different names"):
        ToyExperiment(runs=(BOWLS, BOWLS))
    with pytest.raises(BadInput, match="must name runs, not 'other'"):
        ToyExperiment(runs=(BOWLS,), published=(PublishedOutcome("other", "stuck", "a paper"),))
