"""Data drawn anew for every seed: each seed trains and is judged as it would be alone."""

import jax
import numpy as np
import pytest

from mtl_jax import augment, data, nets
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from mtl_jax.consistency import FixMatch
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import ROW, RUN

LEFT = ROW.replace(name="left", num_outputs=10)
SOURCE = data.MultiDigits(train=60, validation=24, test=30)
ONE = RUN.replace(
    name="one", data=SOURCE, tasks=(LEFT.replace(auxiliary=FixMatch(threshold=0.2)), LEFT.replace(name="right")),
    labels={"num_labelled": 20}, num_seeds=1, augmentation={"strong": augment.Cutout(2)})  # fmt: skip
BOTH = ONE.replace(name="both", data=data.PerSeed(SOURCE), num_seeds=2, first_seed=3)
ALONE = tuple(
    ONE.replace(name=f"seed {n}", data=data.MultiDigits(train=60, validation=24, test=30, seed=n), first_seed=n)
    for n in (3, 4)
)  # fmt: skip
STUDENT = BOTH.replace(name="student", initialization={"init_from": BOTH}, steps=4)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("per_seed")
    row = SklearnBaseline(
        name="logistic", data=data.PerSeed(SOURCE), task=LEFT, candidates=(logistic_regression,), num_labelled=20,
        num_seeds=2, first_seed=3,
    )  # fmt: skip
    lone = row.replace(name="logistic 4", data=ALONE[1].data, num_seeds=1, first_seed=4)
    experiment = Experiment(runs=(BOTH, *ALONE, STUDENT), sklearn_baselines=(row, lone))
    assert sweep(experiment, experiment, root) == 0
    return root


def test_each_seed_has_the_data_of_its_own_source():
    found = load_run_data(BOTH)
    for place, run in enumerate(ALONE):
        own = load_run_data(run)
        stream, alone = found.train.streams[""], own.train.streams[""]
        np.testing.assert_array_equal(stream.inputs[place], alone.inputs)
        np.testing.assert_array_equal(stream.labels["left"][place], alone.labels["left"])
        np.testing.assert_array_equal(stream.labelled.index[place], alone.labelled.index[0])
        np.testing.assert_array_equal(
            found.splits["test"][""]["inputs"][place], own.splits["test"][""]["inputs"]
        )
    images = found.train.streams[""].inputs
    assert (images[0] != images[1]).any()


@pytest.mark.slow
def test_each_seed_ends_as_it_does_alone(root):
    both = RunDirectory(root, BOTH).result()
    for place, run in enumerate(ALONE):
        alone = RunDirectory(root, run).result()
        for kind in ("validation", "test"):
            for task in ("left", "right"):
                assert both["selected"][place][kind][task]["accuracy"] == pytest.approx(
                    alone["selected"][0][kind][task]["accuracy"], abs=0.05
                )
    losses = [RunDirectory(root, run).records()[-1]["train"]["loss/left"] for run in (BOTH, *ALONE)]
    np.testing.assert_allclose(losses[0], [losses[1][0], losses[2][0]], rtol=1e-4)
    assert both["labels"]["left"] == [20, 24, 30]


@pytest.mark.slow
def test_rows_of_scikit_learn_too(root):
    rows = [line.split(",") for line in (root / "table.csv").read_text().splitlines()]
    test = {(row[0], row[3]): row[rows[0].index("selected")] for row in rows}
    assert test["logistic", "4"] == test["logistic 4", "4"] != test["logistic", "3"]


def test_what_has_no_seed_to_draw_by_is_refused():
    with pytest.raises(BadInput, match=r"PerSeed.source must have a seed"):
        data.PerSeed(RUN.data)
    with pytest.raises(BadInput, match=r"PerSeed.source must be a source"):
        data.PerSeed(nets.MLP((3,)))
    with pytest.raises(BadInput, match="cannot stand within another source"):
        data.Resized(data.PerSeed(SOURCE), (4, 4)).load()


def test_seeds_are_added_wherever_they_stand():
    inner = data.Resized(data.SingleDigits(seed=2), (6, 6))
    domains = data.Domains((inner, data.SmallDigits(seed=1)), data.SmallMNIST(seed=5))
    found = data.PerSeed(domains).for_seed(10)
    assert found.sources == (
        data.Resized(data.SingleDigits(seed=12), (6, 6)),
        data.SmallDigits(seed=11),
    )
    assert found.target == data.SmallMNIST(seed=15)
    assert jax.tree.leaves(dict(data.PerSeed(domains.sources[0]).shapes())) == jax.tree.leaves(
        dict(domains.sources[0].shapes())
    )
