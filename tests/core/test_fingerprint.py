"""Identity: the same in every process, another for every field, and only of what is data."""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import (
    aggregation,
    augment,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    sharing,
    weighting,
)
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.config.cross_task import CrossTask
from mtl_jax.config.execution import Execution
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.config.run import Run
from mtl_jax.config.task_schedule import AlternatingTasks
from mtl_jax.core.fingerprint import config_fields, fingerprint, to_source
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, HEIGHT, ROW, RUN, UNLABELLED, part

ROOT = pathlib.Path(__file__).parents[2]
OTHERS = {
    "name": "other",
    "data": data.Arrays(part(96, 3), part(40, 1), part(40, 2)),
    "tasks": (COLUMN, ROW),
    "trunk": nets.MLP((12,), batch_norm=True),
    "balance": aggregation.MGDA(),
    "optimizer": optimizers.SGD(0.05, weight_decay=1e-4),
    "steps": 9,
    "batch_size": 9,
    "extensions": (CrossTask(),),
    "task_schedule": AlternatingTasks(),
    "param_rules": (ParamRule(".*", lr_scale=0.5),),
    "num_seeds": 3,
    "first_seed": 1,
    "balance_options": BalanceOptions(head_gradients="own"),
    "execution": Execution(),
}
OTHERS_IN_GROUPS = {
    "labels": {
        "num_labelled": None,
        "partial": True,
        "unlabelled_ratio": 3,
        "teachers": (RUN.replace(name="teacher"),),
    },
    "augmentation": {
        "joint": augment.example.Joint(()),
        "weak": augment.RandomTranslate(1),
        "medium": augment.RandomTranslate(1),
        "strong": augment.Cutout(3),
    },
    "initialization": {
        "init_from": RUN.replace(name="init_from"),
        "parameters": "ema",
        "param_map": (("shared/(.*)", r"shared/\1"),),
        "new_params": ("shared/.*",),
    },
    "regularization": {
        "penalties": (sharing.TraceNorm(1.0),),
        "proximal": (sharing.TraceNorm(1.0),),
    },
    "evaluation": {
        "every": 5,
        "checkpoint_every": 5,
        "ema_decay": 0.91,
        "selection": "last",
        "patience": 4,
        "measure_affinity": True,
        "test": "every",
    },
}


def test_every_field_counts():
    fields = {field.name for field in dataclasses.fields(Run)}
    assert OTHERS.keys() | OTHERS_IN_GROUPS.keys() == fields
    for group, changes in OTHERS_IN_GROUPS.items():
        assert changes.keys() == {f.name for f in dataclasses.fields(getattr(RUN, group))}
    source = RUN.replace(initialization={"init_from": RUN.replace(name="other")})
    start = {"param_map": source, "new_params": source}  # They need a source model.
    runs = [RUN.replace(**{name: value}) for name, value in OTHERS.items()]
    runs += [
        start.get(name, RUN).replace(**{group: {name: value}})
        for group, changes in OTHERS_IN_GROUPS.items()
        for name, value in changes.items()
    ]
    extended = UNLABELLED.replace(extensions=(MetaPseudoLabels(),))
    both = extended.replace(extensions=(MetaPseudoLabels(), CrossTask()))
    runs += [RUN, UNLABELLED, extended, both]
    prints = [fingerprint(run) for run in runs]
    assert len(set(prints)) == len(runs) == 4 + 15 + 21
    assert all(len(text) == 18 for text in prints)


class Another(metrics.Accuracy):
    """Another metric for classes."""


@pytest.mark.parametrize(
    "change",
    [{"name": "line"}, {"num_outputs": 4}, {"loss": losses.soft_cross_entropy}, {"metrics": (Another(),)},
     {"selects": False}],
)  # fmt: skip
def test_every_field_of_a_task_counts(change):
    assert fingerprint(ROW.replace(**change)) != fingerprint(ROW)


@pytest.mark.parametrize("place", [{"data_location": "host"}, {"num_workers": 2}])
def test_where_the_data_are_is_in_the_text_and_not_in_the_fingerprint(place):
    """Of a run, and of one that starts from it."""
    plain, placed = RUN, RUN.replace(execution=Execution(**place))
    started = [RUN.replace(initialization={"init_from": run}) for run in (plain, placed)]
    for one, other in ((plain, placed), started):
        assert fingerprint(one) == fingerprint(other)
        assert to_source(one) != to_source(other)


def test_the_same_in_another_process():
    code = (
        "from mtl_jax.core.fingerprint import fingerprint; from tests.small import RUN, UNLABELLED;"
        "print(fingerprint(RUN), fingerprint(UNLABELLED))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == [fingerprint(RUN), fingerprint(UNLABELLED)]


def test_equal_runs_that_were_made_apart_are_one():
    again = RUN.replace(
        data=data.Arrays(part(96, 0), part(40, 1), part(40, 2)), trunk=nets.MLP((12,))
    )
    assert again is not RUN and fingerprint(again) == fingerprint(RUN)


def test_text_makes_the_setting_again():
    for setting in (
        optimizers.Adam(optimizers.CosineSchedule(2e-3)),
        nets.MLP((8, 4)),
        Execution(),
    ):
        names = {**vars(optimizers), **vars(nets), "Execution": Execution}
        assert eval(to_source(setting), names) == setting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ((1, "a"), "(1, 'a')"),
        ([0.5], "(0.5,)"),
        ((), "()"),
        ({"b": 1, "a": (2,)}, "{'a': (2,), 'b': 1}"),
        (np.float64(0.1), "0.1"),
        (-np.inf, "-inf"),
        (losses.cross_entropy, "mtl_jax.cross_entropy"),
        (functools.partial(losses.cross_entropy, b=1, a=2), "partial(mtl_jax.cross_entropy, a=2, b=1)"),
        (metrics.Accuracy().compute, "Accuracy().compute"),
        (optimizers.SGD(0.1).build, "SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0).build"),
        (int, "builtins.int"),
    ],
)  # fmt: skip
def test_text(value, text):
    assert to_source(value) == text


def test_a_module_is_what_it_is_not_where_it_hangs():
    module = nets.MLP((4,))
    assert to_source(module) == "MLP(features=(4,), batch_norm=False)"
    assert fingerprint(nets.MLP((4,), name="here", parent=None)) == fingerprint(module)
    assert config_fields(module) == ["features", "batch_norm"]
    assert config_fields(HEIGHT)[0] == "name"


def test_arrays_count_by_content():
    one = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert fingerprint(one) == fingerprint(np.asfortranarray(one)) == fingerprint(jnp.array(one))
    others = [one + 1, one.astype(np.float64), one.reshape(3, 2), one.T.copy()]
    assert len({fingerprint(other) for other in (one, *others)}) == 5


def local(logits, labels):
    return logits


@pytest.mark.parametrize(
    "value",
    [lambda x: x, functools.partial(lambda x: x), (1, {"a": lambda x: x}), object(), {1, 2},
     float("nan"), b"bytes"],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_data_is_refused(value):
    with pytest.raises(BadInput, match="a run must be data"):
        fingerprint(value)


def test_a_closure_is_refused_and_a_named_function_is_not():
    def closure(logits, labels):
        return logits

    with pytest.raises(BadInput, match=r"closure in .* is no named function"):
        fingerprint(RUN.replace(tasks=(ROW.replace(loss=closure),)))
    assert fingerprint(RUN.replace(tasks=(ROW.replace(loss=local),))) != fingerprint(RUN)


@dataclasses.dataclass(frozen=True)
class Equal:
    """A user's own class of a name that is taken."""


def test_a_class_of_the_same_name_elsewhere_is_another():
    assert fingerprint(Equal()) != fingerprint(weighting.Equal())


def method(*fields):
    """A class of one name, with some fields."""
    made = dataclasses.make_dataclass("Method", fields)
    made.__module__ = "mtl_jax"  # From Python 3.12 on, a namespace cannot say it.
    return made


def test_an_option_that_is_off_by_default_says_nothing():
    before = method("rate", ("size", int, 3))
    after = method("rate", ("size", int, 3), ("ramp", int | None, None), ("terms", tuple, ()))
    assert to_source(after(1)) == to_source(before(1)) == "Method(rate=1, size=3)"
    assert to_source(after(1, ramp=0, terms=(2,))) == "Method(rate=1, size=3, ramp=0, terms=(2,))"
    # Nothing, but not by default.
    assert to_source(method(("rate", int | None, 5))(None)) == "Method(rate=None)"
