"""An experiment with a row of every kind, each small; `descents.py` has the kind that is missing."""

import functools

from mtl_jax import augment, consistency, nets, optimizers
from mtl_jax.augment.image.cta_operations import OPERATIONS
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from tests import pixels
from tests.small import COLUMN, DATA, ROW, RUN

# Checkpoints lie between evaluations, at them, and not at the last step alone.
OFTEN = {"every": 10, "checkpoint_every": 15}
ONE = RUN.replace(tasks=(ROW,), num_seeds=1, steps=40, evaluation=OFTEN)

SUPERVISED = ONE.replace(name="supervised", num_seeds=2)
SEMI_SUPERVISED = ONE.replace(
    name="semi-supervised",
    tasks=(COLUMN.replace(auxiliary=consistency.FreeMatch()),),
    augmentation={"strong": augment.CTAugment(depth=1, operations=OPERATIONS[:2])},
)
CHAINED = ONE.replace(name="chained", initialization={"init_from": SEMI_SUPERVISED})
TAUGHT = SUPERVISED.replace(
    name="taught",
    tasks=(ROW.replace(auxiliary=consistency.NoisyStudent(threshold=0.3)),),
    labels={"teachers": (SUPERVISED,)},
)
EXTENDED = ONE.replace(
    name="extended",
    tasks=(ROW.replace(auxiliary=consistency.UDA(threshold=0.4)),),
    extensions=(MetaPseudoLabels(),),
)
DENSE = pixels.RUN.replace(
    name="dense",
    tasks=(pixels.SIDE.replace(auxiliary=consistency.FixMatch(threshold=0.5)),),
    trunk=nets.UNet((4,)),
    steps=20,
    evaluation={"every": 5, "checkpoint_every": 5},
)
PATIENT = ONE.replace(
    name="patient",
    tasks=(COLUMN,),
    steps=400,
    optimizer=optimizers.SGD(1e-12, momentum=0.0),
    evaluation={"every": 5, "checkpoint_every": 10, "patience": 6},
)
POPULATION = tuple(
    ONE.replace(name=f"rate {rate}", optimizer=optimizers.SGD(rate)) for rate in (0.01, 0.03, 0.1)
)
STREAMED = SEMI_SUPERVISED.replace(
    name="streamed", execution=Execution(steps_per_call=4, data_location="host")
)
FITTED = SklearnBaseline(
    name="fitted",
    data=DATA,
    task=ROW,
    candidates=(functools.partial(logistic_regression, C=1.0),),
    num_labelled=24,
    num_seeds=2,
)
EXPERIMENT = Experiment(
    runs=(
        SUPERVISED,
        SEMI_SUPERVISED,
        CHAINED,
        TAUGHT,
        EXTENDED,
        DENSE,
        PATIENT,
        STREAMED,
        *POPULATION,
    ),
    sklearn_baselines=(FITTED, FITTED.replace(name="of features", features_from=SUPERVISED)),
)
