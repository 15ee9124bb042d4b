"""Sharded states: which dimension, what follows a parameter, and checkpoints onto other meshes."""

import functools
import json

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from mtl_jax import aggregation, consistency, optimizers
from mtl_jax.config.device_mesh import DeviceMesh, PartitionRule
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.core.tree import leaves_by_path
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import sweep as sweep_module
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.population import Population
from mtl_jax.runner.state_sharding import partition_dimensions
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.checkpoint import CheckpointManager, digest, to_host
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import ROW, RUN, UNLABELLED

SHARDED = DeviceMesh(seed=2, model=2, min_size=24)
ONE, FOUR = jax.devices()[:1], jax.devices()[:4]
ADAM = RUN.replace(optimizer=optimizers.Adam(0.01), balance=aggregation.MoCo())


def started(run, devices, mesh=None):
    """The compiled functions of a run, its data, and its initial state."""
    data = load_run_data(run).train
    made = compile_run(run, data, devices, mesh)
    return made, made.put_data(data), made.init(None)


def sharded_over_model(tree):
    """The dimension of every sharded leaf, by path; the first is that of the seeds."""
    return {
        path: leaf.sharding.spec.index("model")
        for path, leaf in leaves_by_path(tree).items()
        if "model" in leaf.sharding.spec
    }


@pytest.mark.parametrize(
    ("shape", "dimension"),
    [
        ((6, 8), 1),
        ((8, 6), 0),
        ((8, 8), 1),
        ((7, 4), 1),
        ((7, 9), None),
        ((4, 2), None),
        ((), None),
    ],
    ids=str,
)
def test_the_largest_dimension_that_is_divisible(shape, dimension):
    found = partition_dimensions(DeviceMesh(min_size=9), {"a": shape}, 2)
    assert found == {"a": dimension}


def test_the_first_rule_counts_whatever_the_size():
    shapes = {"shared/a": (2, 8), "shared/b": (64, 64), "tasks/c": (64, 64)}
    rules = (PartitionRule("shared/a", 0), PartitionRule("shared/.*", None))
    found = partition_dimensions(DeviceMesh(min_size=100, rules=rules), shapes, 2)
    assert found == {"shared/a": 0, "shared/b": None, "tasks/c": 1}


@pytest.mark.parametrize(
    ("pattern", "dimension", "message"),
    [
        ("share/a", 0, r"DeviceMesh\.rules: pattern 'share/a' matches no .* did you mean shared/a"),
        ("shared/a", 0, r"dimension must be a dimension of shared/a \[3, 4\] that 2 .*, not 0"),
        ("shared/a", 2, r"dimension must be a dimension of shared/a \[3, 4\] that 2 .*, not 2"),
    ],
)
def test_rules_that_do_not_fit_are_refused(pattern, dimension, message):
    mesh = DeviceMesh(rules=(PartitionRule(pattern, dimension),))
    with pytest.raises(BadInput, match=message):
        partition_dimensions(mesh, {"shared/a": (3, 4)}, 2)


def test_what_has_the_shape_of_a_parameter_follows_it():
    made, data, state = started(ADAM, FOUR, SHARDED)
    after, _ = made.train_steps(state, data, 1)
    expected = {
        "params/shared/Dense_0/kernel": 1,
        "ema/shared/Dense_0/kernel": 1,
        "params/tasks/heads/row/kernel": 1,
        "ema/tasks/heads/row/kernel": 1,
        "params/tasks/heads/column/kernel": 1,
        "ema/tasks/heads/column/kernel": 1,
    }
    found = sharded_over_model(after)
    assert {path: found[path] for path in expected} == expected
    others = found.keys() - expected
    assert {path.split("/")[0] for path in others} == {"opt_state", "balance_state"}
    assert sum(path.endswith("mu/shared/Dense_0/kernel") for path in others) == 1
    assert sum(path.endswith("nu/shared/Dense_0/kernel") for path in others) == 1
    (rows,) = [dim for path, dim in found.items() if path.startswith("balance_state")]
    assert rows == 2  # [S, K, 36, 12].
    kernel = after.params["shared"]["Dense_0"]["kernel"]
    assert kernel.shape == (2, 36, 12)
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(1, 18, 12)}
    traced = made.abstract_init(None).params["shared"]["Dense_0"]["kernel"]
    assert traced.sharding.spec == PartitionSpec("seed", "model")


def test_a_second_model_follows_too():
    uda = consistency.UDA(weight=0.0)
    run = UNLABELLED.replace(tasks=(ROW.replace(auxiliary=uda),), extensions=(MetaPseudoLabels(),))
    _, _, state = started(run, FOUR, SHARDED)
    found = sharded_over_model(state.extensions)
    assert [path for path in found if path.endswith("params/shared/Dense_0/kernel")]
    assert set(found.values()) == {1}


def test_without_a_model_axis_nothing_is_sharded_over_it():
    _, _, state = started(ADAM, FOUR)
    assert sharded_over_model(state) == {}


def test_initial_parameters_do_not_depend_on_the_mesh():
    _, _, alone = started(ADAM, ONE)
    _, _, sharded = started(ADAM, FOUR, SHARDED)
    assert digest(to_host(sharded)) == digest(to_host(alone))


@pytest.mark.parametrize("before", [None, SHARDED], ids=["1 to 4", "4 to 1"])
def test_a_checkpoint_is_restored_onto_other_devices(before, tmp_path):
    devices = {None: ONE, SHARDED: FOUR}
    after = SHARDED if before is None else None
    made, data, state = started(ADAM, devices[before], before)
    state, _ = made.train_steps(state, data, 2)
    saved = to_host(state)
    checkpoints = CheckpointManager(tmp_path, print)
    checkpoints.save(2, state, {}, {})
    checkpoints.wait()
    straight, _ = made.train_steps(state, data, 2)
    made, data, fresh = started(ADAM, devices[after], after)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, fresh)
    state, *_ = checkpoints.restore(fresh)
    assert digest(to_host(state)) == digest(saved)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == shardings
    state, _ = made.train_steps(state, data, 2)
    for a, b in zip(*map(jax.tree.leaves, (to_host(state), to_host(straight))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_sharded_run_resumes_bitwise(tmp_path):
    made, data, state = started(ADAM, FOUR, SHARDED)
    state, _ = made.train_steps(state, data, 2)
    checkpoints = CheckpointManager(tmp_path, print)
    checkpoints.save(2, state, {}, {})
    checkpoints.wait()
    straight, _ = made.train_steps(state, data, 2)
    made, data, fresh = started(ADAM, FOUR, SHARDED)
    state, *_ = checkpoints.restore(fresh)
    state, _ = made.train_steps(state, data, 2)
    assert digest(to_host(state)) == digest(to_host(straight))


def test_populations_are_sharded_too():
    runs = tuple(ADAM.replace(name=f"{n}", optimizer=optimizers.Adam(n / 100)) for n in (1, 2))
    data = load_run_data(ADAM).train
    population = Population(runs, compile_run(runs[0], data, FOUR, SHARDED))
    states = population.init(None)
    states, _ = population.train_steps(states, population.template.put_data(data), 2)
    found = sharded_over_model(states)
    assert found["params/shared/Dense_0/kernel"] == 2
    kernel = states.params["shared"]["Dense_0"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(2, 1, 18, 12)}
    made, data, alone = started(runs[1], ONE)
    alone, _ = made.train_steps(alone, data, 2)
    np.testing.assert_allclose(
        kernel[1], alone.params["shared"]["Dense_0"]["kernel"], rtol=1e-5, atol=1e-6
    )


HARD = RUN.replace(optimizer=optimizers.Adam(0.01))
RUNS = (
    HARD,
    RUN.replace(name="another rate", optimizer=optimizers.Adam(0.02)),
    UNLABELLED.replace(name="teacher", tasks=(ROW.replace(auxiliary=consistency.MeanTeacher()),)),
    RUN.replace(name="tuned", initialization={"init_from": HARD}, balance=aggregation.MoCo()),
)


def measured(root, mesh):
    """Records and counts of parameters of runs that train on a mesh, and their fingerprints."""
    experiment = Experiment(runs=RUNS, mesh=mesh)
    assert sweep(experiment, experiment, root) == 0
    records = {
        run.name: list(
            map(json.loads, (root / run.name / "metrics.jsonl").read_text().splitlines())
        )
        for run in RUNS
    }
    results = [json.loads((root / run.name / "result.json").read_text()) for run in RUNS]
    return records, [(each["parameters"], each["labels"]) for each in results]


def test_results_do_not_depend_on_the_mesh(tmp_path, monkeypatch):
    """Of a population, a run with unlabelled examples, and a fine-tuned run."""
    monkeypatch.setattr(sweep_module, "write_report", lambda *_: None)
    (one, counts), (other, same) = (
        measured(tmp_path / name, mesh) for name, mesh in (("a", SHARDED), ("b", None))
    )
    assert counts == same
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, one, other)
    for run in RUNS:  # They are finished: the mesh is not part of a fingerprint.
        assert RunDirectory(tmp_path / "a", run).is_finished()
        assert "Mesh" not in (tmp_path / "a" / run.name / "run.json").read_text()
