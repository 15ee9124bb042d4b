"""Streamed training is bitwise training on data that are on the device."""

import dataclasses

import jax
import pytest

from mtl_jax import aggregation, consistency, data
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import Rows
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests import dense
from tests.faults.contents import contents
from tests.small import DATA, RUN, UNLABELLED


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

    def open(self):
        def rows(path, leaf):
            is_input = any(getattr(entry, "key", None) == "inputs" for entry in path)
            return StoredRows(leaf) if is_input or self.labels else leaf

        parts = (jax.tree_util.tree_map_with_path(rows, part) for part in self.source.load())
        return Splits(*parts)


EACH = {"every": 4, "checkpoint_every": 8}
PARTS = tuple(data.Input(name, OnDisk(DATA), name) for name in ("row", "column"))
COMATCH = consistency.CoMatch(threshold=0.5)
RUNS = {
    "plain": RUN.replace(labels={"num_labelled": None}),
    "few labels": RUN,
    "fixmatch": UNLABELLED,
    "several streams": UNLABELLED.replace(data=data.MultiInput(PARTS)),
    "dense": dense.RUN.replace(evaluation=EACH),
    "cross batches": RUN.replace(balance=aggregation.MoDo()),
    "held out": RUN.replace(balance=aggregation.AutoLambda()),
}


def finished(run, root, location, num_workers=0):
    """What a launch leaves of a run whose data are in some place."""
    execution = Execution(steps_per_call=3, data_location=location, num_workers=num_workers)
    placed = run.replace(execution=execution, evaluation=EACH)
    experiment = Experiment(runs=(placed,))
    sweep(experiment, experiment, root / str(location))
    folder = RunDirectory(root / str(location), placed)
    return {name: value for name, value in contents(folder.path).items() if value is not None}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("location", ["host", "disk"])
def test_streamed_is_bitwise_on_the_device(tmp_path, kind, location):
    run = RUNS[kind]
    if location == "disk" and not isinstance(run.data, data.MultiInput):
        run = run.replace(data=OnDisk(run.data, labels=kind == "dense"))
    found = finished(run, tmp_path, location)
    assert found == finished(run, tmp_path, "device")
    assert {"metrics.jsonl", "result.json", "checkpoints"} <= set(found)
