"""Every run of every experiment: an identity, shapes that fit, and a step that lowers."""

import pathlib

import jax
import pytest

from mtl_jax.descent import Descents
from mtl_jax.host.descents import paths
from mtl_jax.host.experiment import asked, in_order, read
from mtl_jax.host.loop import check
from mtl_jax.host.sweep import cost
from mtl_jax.identity import fingerprint
from mtl_jax.run import Experiment

FILES = sorted((pathlib.Path(__file__).parent.parent / "experiments").glob("*.py"))
READ = {file.stem: read(file) for file in FILES}
RUNS = [
    pytest.param(run, id=f"{stem}-{run.name}")
    for stem, experiment in READ.items()
    if isinstance(experiment, Experiment)
    for run in in_order(asked(experiment, [], 2, None, smoke=False))
]
DESCENTS = [
    pytest.param(run, id=f"{stem}-{run.name}")
    for stem, experiment in READ.items()
    if isinstance(experiment, Descents)
    for run in experiment.runs
]


def test_there_are_experiments():
    assert "digits" in [file.stem for file in FILES]


def everything(experiment):
    """All runs or descents."""
    return in_order(experiment) if isinstance(experiment, Experiment) else experiment.runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_has_its_own_identity(file):
    runs, again = (everything(read(file)) for _ in range(2))
    prints = {fingerprint(run) for run in runs}
    assert len(prints) == len(runs)
    assert prints == {fingerprint(run) for run in again}, "the same when read again"


@pytest.mark.parametrize("run", RUNS)
def test_every_step_fits_together(run):
    _, state, given = check(run, 1)
    assert state.step.shape == (run.seeds,) and given.image.shape[0] > run.batch


@pytest.mark.parametrize("run", [RUNS[0].values[0], RUNS[-1].values[0]], ids=lambda run: run.name)
def test_a_step_lowers(run):
    parameters, flops = cost(run)
    assert parameters > 0
    # Two for every number of a kernel and example forward, as many or more back.
    assert flops > parameters * run.batch


@pytest.mark.parametrize("run", DESCENTS)
def test_a_descent_fits_together(run):
    points, losses, weights = jax.eval_shape(lambda: paths(run))
    assert points.shape == (len(run.starts), run.records + 1, len(run.starts[0]))
    assert losses.shape == weights.shape
