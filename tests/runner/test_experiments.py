"""Every run of every experiment: an identity, shapes that fit, and a step that lowers."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.tree import num_examples
from mtl_jax.runner.listing import cost
from mtl_jax.runner.local_modules import run_file
from mtl_jax.runner.run_selection import load_experiment, select_runs, topological_order
from mtl_jax.runner.toy import all_trajectories
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.abstract_data import single_seed
from tests.data.shapes import check_shapes
from tests.runner import benchmark_data

FILES = sorted((pathlib.Path(__file__).parents[2] / "experiments").glob("*.py"))
READ = {file.stem: load_experiment(file) for file in FILES}


def kind_of(run):
    """What a run is but for names and numbers of labels, its own and its sources'.

    Of runs that take long, only their parts, and what their balance needs.
    """
    if takes_long(run):
        return parts_of(run), len(run.tasks), run.balance.access
    return re.sub(r"name='[^']*'|(num_)?labelled=\d+", "", to_source(run))


def takes_long(run):
    """Whether a run has many tasks, masks of a SegNet, or a trunk of 50 layers."""
    inner = getattr(run.trunk, "trunk", run.trunk)
    deep = isinstance(inner, nets.SegNetMTAN) or getattr(inner, "depth", 0) == 50
    return deep or len(run.tasks) > 20


def parts_of(run):
    """Of which parts a run is made, whatever their settings; laws run all balancers and penalties.

    Wide trunks take long to trace.
    """
    if isinstance(run.trunk, nets.WideResNet):
        return (nets.WideResNet,)
    methods = {type(task.auxiliary).__name__ for task in run.tasks}
    parts = (run.data, run.augmentation.strong, run.trunk, getattr(run.trunk, "trunk", None))
    parts += (run.task_schedule, run.initialization.init_from, *run.extensions)
    return tuple(sorted(methods)), tuple(map(type, parts))


def kinds(runs):
    """The first run of each kind of each; slow if long, or one before it has the same parts."""
    seen, made = {}, set()
    for (stem, _), run in runs.items():
        kind = (stem, kind_of(run))
        if kind not in seen:
            seen[kind] = (
                run,
                (pytest.mark.slow,) if parts_of(run) in made or takes_long(run) else (),
            )
            made.add(parts_of(run))
    return [(stem, *found) for (stem, _), found in seen.items()]


SELECTED = {
    (stem, run.name): run
    for stem, experiment in READ.items()
    if isinstance(experiment, Experiment)
    for run in topological_order(select_runs(experiment, 2, None, smoke=False))
}
RUNS = [
    pytest.param(run, id=f"{stem}-{run.name}", marks=marks) for stem, run, marks in kinds(SELECTED)
]
TOY_RUNS = [
    pytest.param(run, id=f"{stem}-{run.name}")
    for stem, experiment in READ.items()
    if isinstance(experiment, ToyExperiment)
    for run in experiment.runs
]


def test_there_are_experiments():
    assert "digits" in [file.stem for file in FILES]


def everything(experiment):
    """All runs, of either kind of experiment."""
    return topological_order(experiment) if isinstance(experiment, Experiment) else experiment.runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_has_its_own_identity(file):
    runs, again = (everything(load_experiment(file)) for _ in range(2))
    prints = {fingerprint(run) for run in runs}
    assert len(prints) == len(runs)
    assert prints == {fingerprint(run) for run in again}, "the same when read again"


@pytest.fixture(scope="module")
def true_shapes(tmp_path_factory):
    """A folder with data whose shapes are those of the benchmarks, and more than a batch of it."""
    root = tmp_path_factory.mktemp("benchmarks")
    benchmark_data.write_true_shapes(root / "data")
    return root


@pytest.mark.parametrize("run", RUNS)
def test_every_step_fits_together(run, true_shapes, monkeypatch):
    monkeypatch.chdir(true_shapes)
    # Seeds and rows vmapped trace once what unrolled ones trace several times.
    _, state, given = trace_run(run.replace(execution=Execution()), 1)
    assert state.step.shape == (run.num_seeds,)
    streams = single_seed(run, given).streams.values()
    assert min(num_examples(stream.inputs) for stream in streams) > run.batch_size


@pytest.mark.parametrize("run", [RUNS[0].values[0], RUNS[-1].values[0]], ids=lambda run: run.name)
def test_a_step_lowers(run, true_shapes, monkeypatch):
    monkeypatch.chdir(true_shapes)
    parameters, flops = cost(run)
    assert parameters > 0
    # Two for every number of a kernel and example forward, as many or more back.
    assert flops > parameters * run.batch_size


@pytest.mark.parametrize("run", TOY_RUNS)
def test_a_toy_run_fits_together(run):
    points, losses, weights = jax.eval_shape(lambda: all_trajectories(run))
    assert points.shape == (
        len(run.initial_points),
        run.num_records + 1,
        len(run.initial_points[0]),
    )
    assert losses.shape == weights.shape


def test_the_regressions_of_gradnorm_differ_by_scale_and_some_noise():
    toy = run_file(pathlib.Path("experiments/gradnorm_toy.py"))
    source = toy.Tanh((1.0, 100.0), train=200, validation=3, test=4)
    check_shapes(source)
    train, validation, test = source.load()
    assert [len(part["inputs"]) for part in (train, validation, test)] == [200, 3, 4]
    small, large = train["sigma 1"], train["sigma 100"]
    assert 0.9 < np.abs(small).max() <= 1.0 and 90.0 < np.abs(large).max() <= 100.0
    # B + eps has entries of variance 10^2 + 3.5^2, of which the tasks have 10^2 in common.
    inside = [np.arctanh(np.clip(y.ravel(), -0.999, 0.999)) for y in (small, large / 100.0)]
    assert 0.8 < np.corrcoef(inside)[0, 1] < 0.95
    alike = toy.Tanh((1.0,), train=200, validation=3, test=4).load().train
    np.testing.assert_array_equal(alike["sigma 1"], small, "a task does not depend on the others")


def test_the_relative_error_of_gradnorm():
    toy = run_file(pathlib.Path("experiments/gradnorm_toy.py"))
    labels = jnp.array([[3.0, 4.0], [0.0, 5.0], [jnp.nan, 1.0]])
    predictions = jnp.array([[3.0, 3.0], [2.0, 5.0], [0.0, 0.0]])
    metric = toy.RelativeError()
    sums = metric.from_model_output(predictions, labels, jnp.array([True, True, False]))
    np.testing.assert_allclose(metric.compute(sums), 5 / 50)  # by hand.
    zero = metric.from_model_output(0.0 * predictions, labels, jnp.array([True, True, False]))
    np.testing.assert_allclose(metric.compute(zero), 1.0)
