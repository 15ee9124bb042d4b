"""Streamed training is bitwise training on data that are on the device."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, augment, consistency, data, optimizers, transfer
from mtl_jax.augment import example
from mtl_jax.augment.image.cta_operations import OPERATIONS
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.sweep import sweep
from mtl_jax.runner.trace import trace_run
from mtl_jax.runner.training import Training
from mtl_jax.storage.run_data import convert
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.targets import to_target
from tests import dense
from tests.faults.contents import contents
from tests.small import COLUMN, DATA, ROW, RUN, UNLABELLED


class StoredRows(Rows):
    """Rows of an array."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def read(self, index):
        return self.array[index]

    def identity(self):
        return "an array"


@dataclasses.dataclass(frozen=True)
class OnDisk(DataSource):
    """A source whose arrays are read when they are needed, all or those of images."""

    source: DataSource
    labels: bool = False

    def shapes(self):
        return self.source.shapes()

    def load(self):
        return self.source.load()

    def open_splits(self):
        def rows(path, leaf):
            is_input = any(getattr(entry, "key", None) == "inputs" for entry in path)
            return StoredRows(leaf) if is_input or self.labels else leaf

        parts = (jax.tree_util.tree_map_with_path(rows, part) for part in self.source.load())
        return Splits(*parts)


EACH = {"every": 4, "checkpoint_every": 8}
PARTS = tuple(data.Input(name, OnDisk(DATA), name) for name in ("row", "column"))
SOURCE = RUN.replace(name="source", steps=2, evaluation={"every": 2, "checkpoint_every": 2})
FLIP = example.Joint((example.HorizontalFlip(),))
RUNS = {
    "plain": RUN.replace(labels={"num_labelled": None}),
    "few labels": RUN,
    "fixmatch": UNLABELLED,
    "several streams": UNLABELLED.replace(data=data.MultiInput(PARTS)),
    "dense": dense.RUN.replace(
        tasks=(dense.CLASS_MAP, dense.DEPTH), augmentation={"joint": FLIP}, steps=8
    ),
}
MORE = {
    "partial annotation": dense.RUN.replace(
        data=data.PartialAnnotation(OnDisk(dense.DATA, labels=True), ("classes", "depth")),
        tasks=(dense.CLASS_MAP,),
        labels={"num_labelled": 8},
        steps=8,
    ),
    "dense and unlabelled": dense.RUN.replace(
        data=OnDisk(dense.DATA, labels=True),
        tasks=(dense.CLASS_MAP.replace(auxiliary=consistency.FixMatch(threshold=0.5)),),
        steps=8,
    ),
    "cross batches": RUN.replace(balance=aggregation.MoDo()),
    "held out": RUN.replace(balance=aggregation.AutoLambda()),
    "memory of features": RUN.replace(tasks=(ROW.replace(auxiliary=consistency.CoMatch()),)),
    "learnt policy": UNLABELLED.replace(
        augmentation={"strong": augment.CTAugment(depth=1, operations=OPERATIONS[:2])}
    ),
    "another model": UNLABELLED.replace(
        tasks=(ROW.replace(auxiliary=consistency.UDA()),), extensions=(MetaPseudoLabels(),)
    ),
    "precomputed": RUN.replace(
        tasks=(ROW.replace(auxiliary=transfer.DELTA()), COLUMN),
        initialization={"init_from": SOURCE},
    ),
    "affinity": RUN.replace(evaluation={"measure_affinity": True}),
}


def finished(run, root, location, num_workers=0):
    """What a launch leaves of a run whose data are in some place."""
    execution = Execution(steps_per_call=3, data_location=location, num_workers=num_workers)
    placed = run.replace(execution=execution, evaluation=EACH)
    source = run.initialization.init_from
    experiment = Experiment(runs=(placed,) if source is None else (source, placed))
    sweep(experiment, experiment, root / str(location))
    return contents_of(root / str(location), placed)


def contents_of(root, run):
    """What the files of a run say that is the same every time."""
    found = contents(RunDirectory(root, run).path)
    assert {"metrics.jsonl", "result.json", "checkpoints", "selected"} <= set(found)
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("kind", RUNS)
def test_from_disk_is_bitwise_as_on_the_device(tmp_path, kind):
    run = RUNS[kind]
    if kind != "several streams":
        run = run.replace(data=OnDisk(run.data, labels=kind == "dense"))
    assert finished(run, tmp_path, "disk") == finished(run, tmp_path, "device")


@pytest.mark.slow
@pytest.mark.parametrize("kind", MORE)
def test_other_runs_are_bitwise_as_on_the_device(tmp_path, kind):
    location = "disk" if MORE[kind].data.has_random_access else "host"
    assert finished(MORE[kind], tmp_path, location) == finished(MORE[kind], tmp_path, "device")


@pytest.mark.slow
def test_processes_read_the_same(tmp_path):
    run = UNLABELLED.replace(data=OnDisk(DATA))
    assert finished(run, tmp_path, "disk", 1) == finished(run, tmp_path, "device")


def test_a_population_streams(tmp_path):
    runs = [
        RUN.replace(name=f"{rate}, {seed}", optimizer=optimizers.SGD(rate), first_seed=seed)
        for rate, seed in ((0.01, 0), (0.1, 0), (0.1, 5))
    ]
    for location in ("device", "host"):
        execution = Execution(data_location=location)
        placed = tuple(run.replace(execution=execution) for run in runs)
        experiment = Experiment(runs=placed)
        sweep(experiment, experiment, tmp_path / location)
    for run in runs:
        found = [contents_of(tmp_path / location, run) for location in ("device", "host")]
        assert found[0] == found[1]


def test_it_goes_on_bitwise(tmp_path, monkeypatch):
    run = UNLABELLED.replace(data=OnDisk(DATA))
    evaluate = Training.evaluate

    def interrupted(self, step, *affinity):
        evaluate(self, step, *affinity)
        if step == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr("tests.laws.test_streams.EACH", {"every": 4, "checkpoint_every": 4})
    whole = finished(run, tmp_path / "whole", "disk")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "evaluate", interrupted)
        finished(run, tmp_path / "parts", "disk")
    assert finished(run, tmp_path / "parts", "disk") == whole


@pytest.mark.parametrize(
    ("run", "location", "text"),
    [
        (
            RUN,
            "disk",
            r"data_location must be 'device' or 'host' for a source without random access",
        ),
        (
            UNLABELLED.replace(
                labels={"teachers": (RUN,)},
                tasks=(ROW.replace(auxiliary=consistency.NoisyStudent()),),
            ),
            "host",
            r"data_location must be 'device' for a run with teachers, .* not 'host'",
        ),
        (
            RUN.replace(
                data=data.PerSeed(data.TwoMoons()),
                tasks=(ROW.replace(name="moon"),),
                augmentation={"strong": None},
            ),
            "host",
            "data_location must be 'device' for a run with data of its own for each seed",
        ),
    ],
)
def test_what_cannot_be_streamed_is_told(run, location, text):
    run = run.replace(execution=Execution(data_location=location))
    with pytest.raises(BadInput, match=text):
        trace_run(run)


def test_labels_are_checked_by_value_where_a_part_is_read():
    flat = np.broadcast_to(np.arange(10.0, 90.0, 10.0)[:, None, None, None], (8, 8, 8, 1))
    depth = (flat + 2e-5 * np.random.default_rng(0).normal(size=flat.shape)).astype(np.float32)
    run = dense.RUN.replace(tasks=(dense.DEPTH,))
    targets = to_target(run, dense.DEPTH, "train", depth)
    rows = convert(run, dense.DEPTH, "train", StoredRows(depth))
    np.testing.assert_array_equal(rows.read(np.array([4])), targets[4:5])
    with pytest.raises(BadInput, match="train labels must be finite"):
        convert(run, dense.DEPTH, "train", StoredRows(depth * np.inf)).read(np.array([4]))


def test_an_example_that_cannot_be_read_ends_its_run_alone(tmp_path, capsys):
    class Damaged(StoredRows):
        def read(self, index):
            raise BadInput("image 7 cannot be read")

    class Source(OnDisk):
        def open_splits(self):
            splits = super().open_splits()
            return splits._replace(train={**splits.train, "inputs": Damaged(DATA.train["inputs"])})

    execution = Execution(data_location="disk")
    bad = RUN.replace(name="bad", data=Source(DATA), execution=execution)
    good = RUN.replace(name="good", data=OnDisk(DATA), execution=execution)
    experiment = Experiment(runs=(bad, good))
    sweep(experiment, experiment, tmp_path)
    assert "image 7 cannot be read" in capsys.readouterr().err
    assert RunDirectory(tmp_path, good).is_finished()


def test_where_data_are_is_no_part_of_a_run():
    same = [None, Execution(data_location="disk"), Execution(data_location="host", num_workers=2)]
    assert len({fingerprint(RUN.replace(execution=each)) for each in same}) == 1
    steps = Execution(steps_per_call=3)
    other = dataclasses.replace(steps, data_location="host")
    different = [None, Execution(), steps, dataclasses.replace(steps, precision="bfloat16")]
    assert len({fingerprint(RUN.replace(execution=each)) for each in different}) == 4
    assert fingerprint(RUN.replace(execution=steps)) == fingerprint(RUN.replace(execution=other))
    chained = [
        RUN.replace(name="next", initialization={"init_from": RUN.replace(execution=each)})
        for each in (steps, other)
    ]
    assert len(set(map(fingerprint, chained))) == 1


def test_a_run_that_is_finished_elsewhere_is_finished(tmp_path):
    run = RUN.replace(data=OnDisk(DATA), steps=4)
    for location in ("device", "disk"):
        moved = run.replace(execution=Execution(data_location=location))
        assert sweep(Experiment(runs=(moved,)), Experiment(runs=(moved,)), tmp_path) == 0
    assert [path.name for path in tmp_path.glob("hard*")] == ["hard"]
