"""An experiment that several processes train: streams, sources, Gram matrices, a row that fails."""

import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp

from mtl_jax import aggregation, nets, optimizers
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, DATA, ROW, RUN, UNLABELLED


class CountedRows(Rows):
    """Rows of an array, which note how many each process reads."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def read(self, index):
        if os.environ.get("DAMAGED_IN") == str(jax.process_index()):
            raise BadInput("image 7 is damaged")
        folder = os.environ.get("READ_ROWS")
        if folder:
            with open(pathlib.Path(folder) / f"{jax.process_index()}", "a") as file:
                file.write(f"{len(index)}\n")
        return self.array[index]

    def identity(self):
        return "an array"


@dataclasses.dataclass(frozen=True)
class OnDisk(DataSource):
    """A source whose images are read when they are needed."""

    def shapes(self):
        return DATA.shapes()

    def load(self):
        return DATA.load()

    def open_splits(self):
        parts = ({**part, "inputs": CountedRows(part["inputs"])} for part in DATA.load() if part)
        return Splits(*parts)


def diverging(outputs, labels):
    """A loss that is soon infinite."""
    return jnp.exp(400.0 * jnp.square(outputs).sum(-1))


OFTEN = {"every": 10, "checkpoint_every": 15}
BALANCED = RUN.replace(
    name="balanced", balance=aggregation.UPGrad(), steps=40, evaluation=OFTEN,
    optimizer=optimizers.Adam(1e-2),
)  # fmt: skip
STREAMED = UNLABELLED.replace(
    name="streamed", data=OnDisk(), steps=40, evaluation=OFTEN,
    execution=Execution(steps_per_call=4, data_location="disk"),
)  # fmt: skip
TARGET = RUN.replace(
    name="target", tasks=(COLUMN,), steps=10, initialization={"init_from": STREAMED}
)
EXPERIMENT = Experiment(
    runs=(
        BALANCED,
        STREAMED,
        TARGET,
        RUN.replace(name="diverges", tasks=(ROW.replace(loss=diverging), COLUMN)),
        RUN.replace(name="normalized", trunk=nets.CNN((4,)), steps=4),
    ),
    sklearn_baselines=(
        SklearnBaseline(
            name="fitted",
            data=DATA,
            task=ROW,
            candidates=(logistic_regression,),
            num_labelled=24,
            num_seeds=2,
        ),
    ),
)
