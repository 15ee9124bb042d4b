"""Evaluations of hidden labels in a run: by the right parameters, beside everything else."""

import jax
import numpy as np
import pytest

from mtl_jax import augment, consistency, data
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.report.hidden_counts import read_hidden_counts
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.hidden_labels import sample_hidden_labels
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import build_model, predict_chunked
from tests.small import COLUMN, FIXMATCH, ROW, RUN, UNLABELLED

MEAN = consistency.MeanTeacher()
BOTH = UNLABELLED.replace(
    name="both",
    tasks=(ROW.replace(auxiliary=FIXMATCH), COLUMN.replace(auxiliary=MEAN)),
    augmentation={"weak": augment.Cutout(1)},
)
DIGITS = data.PerSeed(data.MultiDigits(train=60, validation=24, test=30))
LEFT = ROW.replace(name="left", num_outputs=10, auxiliary=FIXMATCH)
SEPARATE = UNLABELLED.replace(data=DIGITS, tasks=(LEFT,), labels={"num_labelled": 20})


def counted(run, devices):
    """Counts of a state after a step, and of the same parameters one seed after another."""
    train = load_run_data(run).train
    made = compile_run(run, train, devices)
    placed = made.put_data(train)
    state, _ = made.train_steps(made.init(None), placed, 1)
    hidden = sample_hidden_labels(run, train)
    found = jax.device_get(made.evaluate_hidden(state, placed, hidden))
    wanted = {kind: {} for kind in hidden}
    for kind, task, seed in [
        (kind, task, seed)
        for kind, by_stream in hidden.items()
        for task in by_stream[""].mask
        for seed in range(run.num_seeds)
    ]:
        params, stats = jax.tree.map(
            lambda leaf, s=seed: leaf[s],
            jax.device_get(({"raw": state.params, "ema": state.ema}[kind], state.batch_stats)),
        )
        index = hidden[kind][""].index[seed]
        inputs, labels = train.streams[""].inputs, train.streams[""].labels[task]
        if isinstance(run.data, data.PerSeed):
            inputs, labels = inputs[seed], labels[seed]
        logits = predict_chunked(build_model(run), params, stats, inputs[index])[task]
        right = np.asarray(logits).argmax(-1) == labels[index]
        size = logits.shape[-1]
        own = (
            np.bincount(labels[index], minlength=size),
            np.bincount(labels[index][right], minlength=size),
        )
        wanted[kind].setdefault(task, []).append(own)
    return found, wanted


@pytest.mark.parametrize(
    ("run", "devices", "loop"),
    [
        (BOTH, 1, "vmap"),
        (BOTH, 4, "vmap"),
        (BOTH, 1, "map"),
        (SEPARATE, 4, "vmap"),
        (SEPARATE, 1, "unroll"),
    ],
    ids=["shared", "shared-sharded", "shared-map", "separate-sharded", "separate-unroll"],
)
def test_counts_of_every_seed_are_those_of_its_parameters(run, devices, loop):
    run = run.replace(execution=Execution(seed_loop=loop))
    found, wanted = counted(run, jax.local_devices()[:devices])
    assert {kind: list(by_task) for kind, by_task in found.items()} == {
        kind: list(by_task) for kind, by_task in wanted.items()
    }
    for kind, by_task in wanted.items():
        for task, by_seed in by_task.items():
            for seed, (true, correct) in enumerate(by_seed):
                np.testing.assert_array_equal(found[kind][task]["true"][seed], true)
                np.testing.assert_array_equal(found[kind][task]["correct"][seed], correct)


@pytest.mark.slow
def test_records_of_a_launch(tmp_path):
    """Only runs with unlabelled inputs have counts, and nothing else differs by them."""
    whole = Experiment(runs=(RUN, BOTH))
    assert sweep(whole, whole, tmp_path) == 0
    folders = {run.name: RunDirectory(tmp_path, run) for run in whole.runs}
    assert all("unlabelled" not in record for record in folders[RUN.name].records())
    records = folders["both"].records()
    assert [set(record["unlabelled"]) for record in records] == [{"raw", "ema"}] * 2
    counts = read_hidden_counts(BOTH, folders["both"])
    assert list(counts) == ["row", "column"] and counts["row"].steps == [4, 8]
    for each in counts.values():
        assert each.true.shape == (2, 2, 3)
        assert (each.true.sum(-1) == 72).all() and (each.predicted.sum(-1) == 72).all()
        assert (each.confident_correct <= each.confident).all()
    assert (tmp_path / "pseudo_labels.png").exists()
    assert (tmp_path / "pseudo_label_classes.png").exists()
