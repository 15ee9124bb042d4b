"""Figures of optimization paths: what is drawn, and that no text covers another one."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import optimizers, weighting
from mtl_jax.config.toy import ToyRun
from mtl_jax.report.trajectories import figure
from tests.figure_text import faults
from tests.report.test_text_overlap import LONG, WORD


@dataclasses.dataclass(frozen=True)
class Bowls:
    """Two bowls, whose Pareto set is the line between their centers."""

    plot_limits = ((-2.0, 2.0), (-200.0, 200.0))

    def losses(self, point):
        return jnp.stack([((point - 1.0) ** 2).sum(), ((point + 1.0) ** 2).sum()])

    def distance_to_pareto(self, point):
        return jnp.abs(point[0] - point[1])


RUN = ToyRun(
    name="sum",
    problem=Bowls(),
    balance=weighting.Equal(),
    optimizer=optimizers.SGD(0.1),
    steps=2,
    num_records=2,
    initial_points=((-1.0, 100.0), (1.5, -50.0)),
)
PATH = {"points": [[[-1.0, 100.0], [0.0, 0.0]], [[1.5, -50.0], [1.0, 1.0]]]}


def test_paths_lead_from_their_starts_to_their_ends():
    axis = figure([RUN], [PATH]).axes[0]
    lines = [line.get_xydata().tolist() for line in axis.get_lines()]
    first, second = PATH["points"]
    assert lines == [first, first[:1], first[1:], second, second[:1], second[1:]]
    assert (axis.get_xlim(), axis.get_ylim()) == Bowls.plot_limits
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("first parameter", "second parameter")


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_no_text_covers_another_one(count):
    names = [(LONG, WORD, "run")[n % 3] + str(n) for n in range(count)]
    runs = [RUN.replace(name=name) for name in names]
    heading = "; ".join(f"{LONG} to {WORD}" for _ in range(4))
    found = [figure(runs, [PATH] * count, text) for text in ("", heading)]
    assert [faults(each) for each in found] == [[], []]
    assert {np.round(each.get_figwidth(), 6) for each in found} == {5.5}
