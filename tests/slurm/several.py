"""Rows that depend on each other, one that fails, and a baseline; each is a job in `run.sh`."""

import functools

from mtl_jax import nets, optimizers
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from tests.small import COLUMN, DATA, ROW, RUN

# About a minute: longer than a launch takes to start.
SOURCE = RUN.replace(
    name="source",
    trunk=nets.MLP((512, 512)),
    steps=9000,
    evaluation={"every": 30, "checkpoint_every": 3000},
)
TARGET = SOURCE.replace(name="target", steps=200, initialization={"init_from": SOURCE})
WRONG = SOURCE.replace(name="wrong", tasks=(COLUMN,), optimizer=optimizers.SGD(1e30))
NEXT = WRONG.replace(name="needs wrong", initialization={"init_from": WRONG})
FITTED = SklearnBaseline(
    name="features, fitted",
    data=DATA,
    task=ROW,
    candidates=(functools.partial(logistic_regression, C=1.0),),
    num_labelled=24,
    num_seeds=2,
    features_from=SOURCE,
)
EXPERIMENT = Experiment(runs=(SOURCE, TARGET, WRONG, NEXT), sklearn_baselines=(FITTED,))
