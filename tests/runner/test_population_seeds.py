"""Runs of other seeds are one program too, each with its own data and initial model."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, consistency, data, optimizers, transfer
from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.execution import Execution
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.config.run import Labels
from mtl_jax.core.data_source import DataSource
from mtl_jax.nets.pretrained import Weights
from mtl_jax.runner import population_groups, train_programs
from mtl_jax.runner.device_data import device_data
from mtl_jax.runner.population_data import population_data
from mtl_jax.runner.population_groups import group_runs, population_bytes
from mtl_jax.runner.run_axis import unstack
from mtl_jax.runner.trace import trace_population, trace_run
from mtl_jax.runner.training import Training
from tests.laws.test_streams import OnDisk
from tests.runner.populations import assert_equal, launched, train
from tests.small import DATA, ROW, RUN, UNLABELLED, part

SGD = optimizers.SGD
FROZEN = (ParamRule("shared/.*", frozen=True), ParamRule(".*"))
STREAMED = Execution(data_location="disk", steps_per_call=2)
PLAIN = {"weak": None, "strong": None}


@dataclasses.dataclass(frozen=True)
class File:
    """Weights of the trunk, as a file would give them."""

    def load(self, trunk, shape, *, dtype):
        inputs = np.zeros((1, *shape), dtype)
        params = trunk.init(jax.random.key(5), inputs, train=False)["params"]
        return Weights(params, {}, None, None)


FILE = {"init_from": File()}
ONE_HEAD = UNLABELLED.replace(tasks=(ROW.replace(auxiliary=consistency.UDA()),))
DIGIT = ROW.replace(name="left", num_outputs=10, auxiliary=consistency.FixMatch(0.2))
MISSING = data.Arrays(
    {
        **DATA.train,
        "row": np.where(np.arange(96) % 3 == 0, -1, DATA.train["row"]).astype(np.int32),
        "column": np.where(np.arange(96) % 5 < 2, -1, DATA.train["column"]).astype(np.int32),
    },
    DATA.validation,
    DATA.test,
)
KINDS = {
    "supervised": RUN,
    "FixMatch and FreeMatch": UNLABELLED.replace(evaluation={"measure_affinity": True}),
    "unlike numbers of hidden labels": UNLABELLED.replace(
        data=MISSING, labels={"partial": True}, num_seeds=1,
        evaluation={"measure_affinity": True},
    ),
    "held out": RUN.replace(balance=aggregation.AutoLambda()),
    "models of an extension": ONE_HEAD.replace(extensions=(MetaPseudoLabels(),)),
    "data of each seed": UNLABELLED.replace(
        data=data.PerSeed(data.MultiDigits(train=60, validation=24, test=30)),
        tasks=(DIGIT,),
        labels={"num_labelled": 20},
    ),
    "streamed": UNLABELLED.replace(data=OnDisk(DATA), execution=STREAMED),
    "weights of a file": RUN.replace(
        initialization=FILE, regularization={"penalties": (transfer.L2SP(0.1),)}
    ),
    "frozen weights of a file": RUN.replace(
        initialization=FILE, param_rules=FROZEN, augmentation=PLAIN
    ),
    "frozen trunk of each seed": RUN.replace(
        num_seeds=1, param_rules=FROZEN, augmentation=PLAIN
    ),
}  # fmt: skip


def with_seeds(run, *seeds):
    return tuple(run.replace(name=f"from seed {seed}", first_seed=seed) for seed in seeds)


def result(root, run):
    """The texts in the result of a run, digests excepted, and the numbers."""
    found = json.loads((root / run.name / "result.json").read_text())
    leaves = jax.tree.leaves({key: found[key] for key in found if not key.endswith("sha256")})
    texts = [leaf for leaf in leaves if isinstance(leaf, str)]
    return texts, np.array([leaf for leaf in leaves if not isinstance(leaf, str)], float)


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_those_of_separate_runs(kind, tmp_path):
    runs = with_seeds(KINDS[kind], 0, 5)
    other = runs[1].replace(name="other rate", optimizer=SGD(0.02))
    runs = (runs[0], other, runs[1])
    assert group_runs(runs, None) == [runs]
    assert trace_population(runs, None) is not None
    together, apart = tmp_path / "together", tmp_path / "apart"
    records, expected = train(runs, together), train(runs, apart, most=1)
    assert len(set(records.values())) == 3
    assert_equal(records, expected)
    for run in runs:
        (texts, values), (other_texts, others) = (result(root, run) for root in (together, apart))
        assert texts == other_texts
        np.testing.assert_allclose(values, others, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["FixMatch and FreeMatch", "weights of a file"])
def test_parameters_may_be_sharded(kind, tmp_path):
    runs, mesh = with_seeds(KINDS[kind], 0, 5), DeviceMesh(seed=2, model=2, min_size=16)
    together = train(runs, tmp_path / "together", mesh=mesh)
    assert_equal(together, train(runs, tmp_path / "apart", most=1))


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_a_frozen_encoder_are_shared_if_seeds_share_it(kind):
    runs = with_seeds(KINDS[kind], 0, 5)
    (population, *_) = trace_population(runs, None)
    assert population.template.encodes_once == (kind == "frozen weights of a file")


def test_unlike_numbers_of_hidden_labels_are_not_stacked():
    runs = with_seeds(KINDS["unlike numbers of hidden labels"], 0, 5)
    (population, *_) = trace_population(runs, None)
    placed = population_data(population, {}, unstack(population.init(None)))
    counts = {own.hidden["raw"][""].index.shape[1] for own in placed.by_first_seed}
    assert len(counts) == 2 and placed.hidden is None


def test_models_and_subsets_are_those_of_each_seed():
    """Seeds of one row, or each in a row of its own, are bitwise the same before training."""
    runs = with_seeds(UNLABELLED.replace(num_seeds=1), 3, 4, 5)
    population, states, _ = trace_population(runs, None)
    (together,) = with_seeds(UNLABELLED.replace(num_seeds=3), 3)
    template = trace_run(together).compiled
    made, wanted = population.init(None), template.init(None)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), made) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), states
    )
    for leaf, other in zip(*map(jax.tree.leaves, (made, wanted)), strict=True):
        assert jax.numpy.array_equal(leaf[:, 0], other)
    placed = population_data(population, {}, unstack(made))
    data = device_data(together, template, {}, wanted)
    assert placed.hidden is not None
    for name, stream in placed.train.streams.items():
        other = data.train.streams[name]
        assert stream.inputs.shape == other.inputs.shape
        assert np.array_equal(stream.labelled.index[:, 0], other.labelled.index)
    assert placed.by_first_seed[0].train.streams[""].inputs is placed.train.streams[""].inputs
    assert placed.by_first_seed[2].train.streams[""].inputs is placed.train.streams[""].inputs


def test_a_run_that_diverges_is_told_with_its_own_seed(tmp_path, capsys):
    runs = with_seeds(RUN, 0, 7)
    wild = runs[1].replace(optimizer=SGD(1e30))
    assert launched((runs[0], wild), tmp_path) == 1
    assert re.search(r"run 'from seed 7' diverged: .* in seed [78] at", capsys.readouterr().err)
    assert (tmp_path / "from seed 0" / "result.json").is_file()


def test_runs_of_source_models_are_with_those_of_the_same_seeds():
    runs = tuple(
        run.replace(initialization={"init_from": run.replace(name=f"source of {run.name}")})
        for run in with_seeds(RUN, 0, 5)
    )
    assert group_runs(runs, None) == [(run,) for run in runs]


@dataclasses.dataclass(frozen=True)
class Uneven(DataSource):
    """A source of which the number of examples of a part depends on the seed."""

    train: int = 0
    test: int = 0
    seed: int = 0

    def load(self):
        odd = self.seed % 2
        sizes = (96 + self.train * odd, 40, 40 + self.test * odd)
        return data.Arrays(*(part(size, self.seed) for size in sizes)).load()

    def shapes(self):
        return data.Arrays(part(96, 0), part(40, 1), part(40, 2)).shapes()

    def num_labelled(self):
        return 96


@pytest.mark.parametrize("sizes", [{"train": 5}, {"test": 5}])
def test_rows_are_parted_by_the_shapes_of_their_data(sizes, tmp_path, monkeypatch):
    run = RUN.replace(data=data.PerSeed(Uneven(**sizes)), num_seeds=1, labels=Labels())
    runs = with_seeds(run, 0, 3, 4, 5)
    assert group_runs(runs, None) == [runs]
    found, make = [], train_programs.prepare_group

    def prepared(*args):
        programs = make(*args)
        found.extend(programs)
        return programs

    monkeypatch.setattr(train_programs, "prepare_group", prepared)
    together = train(runs, tmp_path / "together")
    assert [program.runs for program in found] == [runs[::2], runs[1::2]]
    assert_equal(together, train(runs, tmp_path / "apart", most=1))


def test_warnings_are_of_what_is_trained(tmp_path, capsys, monkeypatch):
    """The program of some runs may need the data of others, which are finished."""
    labels = {**DATA.train, "row": np.minimum(DATA.train["row"], 1)}
    source = data.Arrays(labels, DATA.validation, DATA.test)
    runs = with_seeds(RUN.replace(data=source, num_seeds=1), 0, 5)
    kept = Training.write_result

    def stopped(self, *args):
        if self.run == runs[1]:
            raise KeyboardInterrupt
        kept(self, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "write_result", stopped)
        train(runs, tmp_path)
    assert capsys.readouterr().err.count("is trained without labels of class 2") == 2
    train(runs, tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith("warning: run 'from seed 5': task 'row' is trained without labels")


def test_a_group_counts_the_data_of_each_seed(monkeypatch):
    runs, one = with_seeds(KINDS["data of each seed"], 0, 5, 6), KINDS["supervised"]
    data_bytes, of_run = population_bytes(runs[:1])
    assert population_bytes(runs) == (6 * data_bytes, of_run)
    assert population_bytes(with_seeds(one, 0, 5)) == population_bytes((one,))
    twice = (*runs, *(run.replace(name=f"{run.name} again") for run in runs))
    memory = 4 * 3 * (of_run + data_bytes)
    monkeypatch.setattr(population_groups, "device_memory", lambda: memory)
    by_seed = [run for place in range(3) for run in twice[place::3]]
    assert group_runs(twice, None) == [tuple(by_seed[:3]), tuple(by_seed[3:])]
