"""The semi-supervised benchmarks: papers' numbers and recipe, and steps on what TFDS wrote."""

import json
import math
import pathlib

import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.runner.run_selection import load_experiment
from tests.data.stand_ins import StandIn, Unlabelled
from tests.runner.launching import launched

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ("fixmatch_cifar10", "fixmatch_cifar100", "fixmatch_svhn", "fixmatch_stl10")
READ = {name: load_experiment(ROOT / "experiments" / f"{name}.py") for name in NAMES}
SMALL = """
from experiments.{name} import EXPERIMENT as WHOLE
from mtl_jax import nets
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment

EXPERIMENT = Experiment(
    runs=tuple(
        run.replace(
            trunk=nets.WideResNet(6, 1, groups=1),
            execution=Execution(steps_per_call=1, step_loop="unroll", seed_loop="unroll", augment_loop="map"),
            batch_size=2,
            labels=run.labels.replace(unlabelled_ratio=2, num_labelled=10),
            num_seeds=1,
        )
        for run in WHOLE.runs
        if run.name in {runs}
    ),
)
"""


def numbers(name, run):
    return {n.source.partition(":")[0]: n.value for n in READ[name].published if n.run == run}


def test_published_numbers_are_accuracies():
    found = numbers("fixmatch_cifar10", "FixMatch (RA), 40 labels")
    assert found == {"FixMatch 2020, Table 2": 86.19}  # 100 - 13.81, FixMatch, Table 2
    found = numbers("fixmatch_cifar100", "ShrinkMatch, 400 labels")
    assert found == {"ShrinkMatch 2023": 64.64}  # ShrinkMatch's README has accuracies
    found = numbers("fixmatch_svhn", "FlexMatch, 40 labels")
    assert found == {"TorchSSL": 91.81, "FlexMatch 2021, Table 6": 79.19}  # 100 - 8.19, - 20.81


@pytest.mark.parametrize("name", NAMES)
def test_every_number_says_where_it_was_read(name):
    content = json.loads((ROOT / "experiments" / "published" / f"{name}.json").read_text())
    for table in content["tables"]:
        assert table["measure"] in ("error %", "accuracy %")
        assert table["read_in"] and table["protocol"] and table["rows"]
    values = [number.value for number in READ[name].published]
    assert all(5.0 < value < 99.0 and number_of_digits(value) <= 2 for value in values)
    assert len({(n.run, n.source) for n in READ[name].published}) == len(values)


def number_of_digits(value):
    return len(repr(value).partition(".")[2])


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe(name):
    """FixMatch, Section 2.4 and its table of settings."""
    for run in READ[name].runs:
        few = run.name.startswith(("Pi-model", "Pseudo", "Mean T", "MixMatch", "ReMixMatch"))
        assert (run.batch_size, run.labels.unlabelled_ratio) == (64, 1 if few else 7)
        assert (
            run.steps == 2**20 and run.evaluation.every == run.evaluation.checkpoint_every == 1024
        )
        assert run.optimizer.weight_decay == (1e-3 if name == "fixmatch_cifar100" else 5e-4)
        assert run.evaluation.ema_decay == 0.999 and run.num_seeds == (
            5 if run.name.startswith("FixMatch (") else 3
        )
        rate = run.optimizer.learning_rate.schedule(run.steps)
        for k in (0, 2**19, 2**20):
            wanted = 0.03 * math.cos(7 * math.pi * k / (16 * 2**20))
            np.testing.assert_allclose(rate(k), wanted, rtol=1e-5)


def test_nets_are_the_papers():
    sizes = {name: {run.trunk for run in experiment.runs} for name, experiment in READ.items()}
    assert sizes["fixmatch_cifar10"] == sizes["fixmatch_svhn"] == {nets.WideResNet(28, 2)}
    assert sizes["fixmatch_cifar100"] == {nets.WideResNet(28, 8), nets.WideResNet(28, 2)}
    assert sizes["fixmatch_stl10"] == {nets.WideResNet(46, 2, 5), nets.WideResNet(37, 2, 4)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "builder", "runs"),
    [
        ("fixmatch_cifar10", StandIn, ("FixMatch (RA), 40 labels",)),
        ("fixmatch_stl10", Unlabelled, ("Pseudo-Label, 1000 labels",)),
    ],
)
def test_smoke_on_what_tfds_wrote(tmp_path, monkeypatch, name, builder, runs):
    builder(data_dir=str(tmp_path / "data"), file_format="array_record").download_and_prepare()
    (tmp_path / "small.py").write_text(SMALL.format(name=name, runs=runs))
    monkeypatch.chdir(tmp_path)
    code, _, err = launched(tmp_path / "small.py", "--smoke", "--out", tmp_path / "out")
    assert code == 0, err
    for run in runs:
        result = json.loads((tmp_path / "out" / run / "result.json").read_text())
        assert len(result["last"]) == 1
        assert all(0 <= each["ema"]["label"]["accuracy"] <= 1 for each in result["last"])
