"""What the table tells is on disk: the selected parameters give the selected numbers."""

import json

import jax
import numpy as np
import pytest

from mtl_jax import data, nets, optimizers
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import pretrained
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import build_model
from tests.small import COLUMN, DATA, HEIGHT, ROW, RUN, part

# Learning rates so high that the last step is seldom the best.
JOINT = RUN.replace(
    name="joint",
    tasks=(ROW, HEIGHT),
    steps=16,
    evaluation={"every": 2},
    optimizer=optimizers.SGD(0.4),
)
MEAN = JOINT.replace(name="mean", tasks=(ROW, COLUMN), trunk=nets.MLP((12,), batch_norm=True))
EACH = JOINT.replace(name="each", evaluation={"selection": "per_task"})
LAST = JOINT.replace(name="last", evaluation={"selection": "last"})
RUNS = (JOINT, MEAN, EACH, LAST)
CHILD = JOINT.replace(
    name="child", initialization={"init_from": JOINT}, steps=2, evaluation={"every": 2}
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("selected")
    experiment = Experiment(runs=(*RUNS, CHILD))
    assert sweep(experiment, experiment, root) == 0
    return root


def scores_of(run, model, seed):
    """Test metrics of one seed by NumPy: share of right classes, mean squared error."""
    params, stats = jax.tree.map(lambda leaf: leaf[seed], model)
    outputs, _ = build_model(run).apply(params, stats, DATA.test["inputs"], train=False)
    found = {}
    for task in run.tasks:
        out, label = np.asarray(outputs.logits[task.name]), DATA.test[task.name]
        right = (
            (out.argmax(1) == label).mean()
            if task.num_outputs > 1
            else np.mean((out[:, 0] - label) ** 2)
        )
        found[task.name] = right
    return found


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_parameters_on_disk_give_the_numbers_of_the_table(root, run):
    folder = RunDirectory(root, run)
    result = folder.result()
    for task in run.tasks:
        model = load_trained_params(run, folder, "selected", task.name, "tested")
        for seed, entry in enumerate(result["selected"]):
            wanted = scores_of(run, model, seed)[task.name]
            (told,) = entry["test"][task.name].values()
            assert told == pytest.approx(wanted, rel=1e-5)
    lines = (root / "table.csv").read_text().splitlines()
    head = lines[0].split(",")
    rows = [dict(zip(head, line.split(","), strict=True)) for line in lines[1:]]
    for row in (row for row in rows if row["run"] == run.name):
        entry = result["selected"][int(row["seed"])]
        step, kind = entry["step"], entry["parameters"]
        if run is EACH:
            step, kind = step[row["task"]], kind[row["task"]]
        assert (row["step"], row["selected_parameters"]) == (str(step), kind)


@pytest.mark.slow
def test_some_selected_parameters_are_not_of_the_last_step(root):
    """Else the tests above would prove nothing."""
    steps = [
        entry["step"]
        for run in (JOINT, MEAN)
        for entry in RunDirectory(root, run).result()["selected"]
    ]
    assert min(steps) < 16
    assert {entry["step"] for entry in RunDirectory(root, LAST).result()["selected"]} == {16}


def test_the_last_parameters_are_those_of_the_checkpoint(root):
    folder = RunDirectory(root, JOINT)
    for kind, name in (("raw", "params"), ("ema", "ema")):
        params, _ = load_trained_params(JOINT, folder, kind, "row", "tested")
        tree = CheckpointManager(folder.checkpoints, print).load(16)
        jax.tree.map(np.testing.assert_array_equal, params, tree[name])
        for seed, last in enumerate(folder.result()["last"]):
            wanted = scores_of(JOINT, (params, tree["batch_stats"]), seed)["height"]
            assert last[kind]["height"]["mse"] == pytest.approx(wanted, rel=1e-5)


def test_a_run_starts_from_what_its_source_selected(root):
    folders = {"joint": RunDirectory(root, JOINT)}
    for which in ("selected", "raw", "ema"):
        child = CHILD.replace(initialization={"parameters": which})
        wanted = load_trained_params(JOINT, folders["joint"], which, "row", "tested")
        jax.tree.map(np.testing.assert_array_equal, initial_parameters(child, folders), wanted)
    each = [jax.tree.leaves(load_trained_params(JOINT, folders["joint"], w, "row", "")[0])[0].tobytes()
            for w in ("selected", "raw", "ema")]  # fmt: skip
    assert len(set(each)) == 3
    with pytest.raises(
        BadInput, match=r"Initialization\.parameters must be 'raw' or 'ema' of a source that"
    ):
        CHILD.replace(initialization={"init_from": EACH})
    assert (
        CHILD.replace(
            initialization={"init_from": EACH, "parameters": "raw"}
        ).initialization.init_from
        is EACH
    )


def test_a_file_of_an_own_run_is_what_was_selected(root):
    model = load_trained_params(JOINT, RunDirectory(root, JOINT), "selected", "row", "tested")
    own = pretrained.Pretrained(str(root / "joint"), pretrained.RUN_CHECKPOINT, part="1")
    found = own.load(JOINT.trunk, (6, 6, 1))
    wanted = jax.tree.map(lambda leaf: leaf[1], model[0]["shared"])
    jax.tree.map(np.testing.assert_array_equal, found.params, wanted)


def test_damaged_selected_parameters_are_named(root, tmp_path):
    folder = RunDirectory(tmp_path, JOINT)
    with pytest.raises(BadInput, match=r"selected is missing or damaged; why, --fresh trains it"):
        load_trained_params(JOINT, folder, "selected", "row", "why")


@pytest.mark.slow
def test_an_interrupted_run_selects_the_same_parameters(root, tmp_path, monkeypatch):
    """Stopped after every second evaluation and resumed, from the checkpoint's candidates."""
    run = JOINT.replace(evaluation={"checkpoint_every": 4})
    experiment = Experiment(runs=(run,))
    append, count = RunDirectory.append, 0

    def stopping(self, record):
        nonlocal count
        append(self, record)
        count += 1
        if count % 3 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "append", stopping)
    for _ in range(20):
        try:
            sweep(experiment, experiment, tmp_path)
            break
        except KeyboardInterrupt:
            continue
    assert count > 8, "it was interrupted"
    monkeypatch.undo()
    straight = RunDirectory(root, JOINT).result()
    assert RunDirectory(tmp_path, run).result()["selected"] == straight["selected"]
    model = load_trained_params(run, RunDirectory(tmp_path, run), "selected", "row", "tested")
    jax.tree.map(
        np.testing.assert_array_equal,
        model,
        load_trained_params(JOINT, RunDirectory(root, JOINT), "selected", "row", ""),
    )


def test_outputs_that_are_not_finite_are_told_and_are_no_accuracy(tmp_path, capsys):
    """One image of the test part overflows the net: a NaN is no class 0."""
    test = part(40, 2)
    numbers = [
        {**one, "inputs": one["inputs"].reshape(len(one["inputs"]), -1)}
        for one in (part(96, 0), part(40, 1), test)
    ]
    numbers[2]["inputs"][7] = 3e38
    run = JOINT.replace(
        name="overflow", data=data.Arrays(*numbers), tasks=(ROW,), augmentation={"strong": None}
    )
    experiment = Experiment(runs=(run,))
    assert sweep(experiment, experiment, tmp_path) == 0
    result = RunDirectory(tmp_path, run).result()
    assert np.isnan([entry["test"]["row"]["accuracy"] for entry in result["selected"]]).all()
    text = "task 'row', test part: outputs that are not finite for up to 1 examples in 1 of 1 evaluations"
    assert text in result["warnings"][0] and text in (tmp_path / "table.md").read_text()
    assert all(np.isfinite(e["validation"]["row"]["accuracy"]) for e in result["selected"])


def test_a_task_without_labels_in_validation_does_not_decide(tmp_path, capsys):
    validation = {**part(40, 1), "column": np.full(40, -1, np.int32)}
    run = MEAN.replace(name="gap", data=data.Arrays(part(96, 0), validation, part(40, 2)))
    experiment = Experiment(runs=(run,))
    assert sweep(experiment, experiment, tmp_path) == 0
    said = "validation has no label of 'column', so the others select"
    assert said in capsys.readouterr().err.partition("gap: 16 steps")[0], "before it trains"
    result = RunDirectory(tmp_path, run).result()
    records = [
        json.loads(line) for line in (tmp_path / "gap" / "metrics.jsonl").read_text().splitlines()
    ]
    for seed, entry in enumerate(result["selected"]):
        best = max(
            r["validation"][k]["row"]["accuracy"][seed] for r in records for k in ("raw", "ema")
        )
        assert entry["validation"]["row"]["accuracy"] == best
    assert "validation judges 'column' in no evaluation" in (tmp_path / "table.md").read_text()
