"""Every setting that the package exports refuses values of another kind in one line."""

import builtins
import dataclasses
import importlib
import itertools
import math
import pkgutil
import types
import typing

import numpy as np
import pytest
from flax import linen

import mtl_jax
from mtl_jax import augment, consistency, data, losses, metrics, nets, optimizers, weighting
from mtl_jax.augment.image import cta_operations
from mtl_jax.config.study_design import Cell, Factorial
from mtl_jax.config.toy import ToyRun
from mtl_jax.core.balancing import Balancer
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.metric import Metric
from mtl_jax.core.tracker import Tracker
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput
from tests.small import DATA, ROW, RUN

BAD = {
    "text": "§",
    "None": None,
    "-1": -1,
    "nan": math.nan,
    "inf": math.inf,
    "class": weighting.Equal,
    "list": [1, 2],
    "True": True,
    "object": object(),
    "digit": "1",
    "int64": np.int64(3),
    "half": 0.5,
    "empty": (),
    "dict": {},
    "(None,)": (None,),
    "(nan,)": (math.nan,),
    "(inf,)": (math.inf,),
    "(True,)": (True,),
    "(text,)": ("1",),
    "function": len,
}
PART = {"inputs": np.zeros((4, 3), np.float32), "row": np.zeros(4, np.int32)}
TWO = data.Arrays(PART, PART, PART)
# Of what only some values are right.
GIVEN = {
    "Arrays.train": PART, "Arrays.validation": PART, "Arrays.test": PART,
    "Cascaded.parts": (nets.CNN((2,)), nets.CNN((2,))),
    "SklearnBaseline.candidates": (len,), "Clustered.clusters": ((0,), (1,)),
    "Run.trunk": nets.MLP((4,)), "ToyRun.initial_points": ((0.0, 1.0),), "ToyRun.steps": 100,
    "Domains.sources": (DATA, TWO), "Experiment.runs": (RUN,),
    "Factorial.cells": (Cell(("a",), ("hard",)), Cell(("b",), ("soft",))),
    "Factorial.factors": ("f",), "LearnablePolicyChain.policy": augment.CTAugment(),
    "MultiInput.inputs": (data.Input(task="row", source=DATA, label="row"),),
    "Preprocessed.preprocessing": nets.pretrained.IMAGENET, "ProgressiveTasks.start_fraction": (0.0, 0.5),
    "Task.loss": losses.cross_entropy, "Texts.tokens": len,
}  # fmt: skip
# By type, what is tried for a field that must be given.
RIGHT = {
    float: (0.5, 1.0, 2.0), int: (2, 1, 4), bool: (False,), str: ("weak", "a", "row"),
    "DataSource": (DATA, data.MultiDigits()), "Module": (nets.MLP((4,)), nets.CNN((4, 4))), "Trunk": (nets.MLP((4,)),),
    "Policy": (augment.Cutout(2),), "ExampleTransform": (augment.example.VerticalFlip(),), "Run": (RUN,), "Task": (ROW,), "Optimizer": (optimizers.SGD(0.1), optimizers.SGD(0.1, momentum=0.0)),
    "Metric": (metrics.Accuracy(),), "AuxiliaryLoss": (consistency.FixMatch(),),
    "ndarray": (np.zeros((4, 3), np.float32),),
}  # fmt: skip


def settings():
    """All dataclasses of the package that a user may make, by name."""
    found = {}
    for info in pkgutil.walk_packages(mtl_jax.__path__, "mtl_jax."):
        if info.name.startswith(("mtl_jax.host", "mtl_jax.train")):
            continue
        for each in vars(importlib.import_module(info.name)).values():
            if isinstance(each, type) and dataclasses.is_dataclass(each):
                typed = "__typechecked__" in vars(each)
                if typed and each.__module__.startswith("mtl_jax."):
                    found[f"{each.__module__}.{each.__name__}"] = each
    return found


def candidates(kind):
    """Values of a type to try."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind == Balancer:
        return (weighting.Equal(),)
    if origin in (typing.Union, types.UnionType):
        return tuple(value for each in inner for value in candidates(each))
    if origin is typing.Literal:
        return inner
    if origin is tuple and inner[-1] is ...:
        found = candidates(inner[0])
        return (*((one,) for one in found), *((one, one) for one in found), ())
    if origin is tuple:
        return tuple(zip(*map(candidates, inner), strict=False))
    return RIGHT.get(kind, RIGHT.get(getattr(kind, "__name__", ""), ()))


def made(setting):
    """The fields of one instance that is fine, or None if this test knows none."""
    hints = typing.get_type_hints(setting)
    needed = [
        field.name
        for field in dataclasses.fields(setting)
        if field.init and field.default is field.default_factory is dataclasses.MISSING
    ]
    choices = [
        (GIVEN[key],) if (key := f"{setting.__name__}.{name}") in GIVEN else candidates(hints[name])
        for name in needed
    ]
    for values in itertools.islice(itertools.product(*choices), 300):
        try:
            setting(**dict(zip(needed, values, strict=True)))
        except BadInput:
            continue
        return dict(zip(needed, values, strict=True))
    return None


def of_kind(value, kind):
    """Whether a value may stand in a field of a type: written apart from the package's rule."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(of_kind(value, each) for each in inner)
    if kind is typing.Any:
        return True
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind in (int, bool, str, type(None)):
        return type(value) is kind
    if origin is typing.Literal:
        return value in inner and type(value) in set(map(type, inner))
    if origin is tuple:
        kinds = inner[:1] * len(value) if type(value) is tuple and inner[-1] is ... else inner
        return type(value) is tuple and len(kinds) == len(value) and all(map(of_kind, value, kinds))
    if origin is not None and issubclass(dict, origin):
        return value == {}
    # Functions, and protocols of a call alone.
    called = "Callable" in str(kind) or getattr(kind, "__name__", "") in ("Policy", "Penalty")
    return called and (value is len or (isinstance(value, type) and "[[]" in str(kind)))


SETTINGS = settings()
FLAX = ("parent", "name")  # Fields of a module that Flax sets.
NAMES = {each.__name__: each for each in SETTINGS.values()}
# In a text: an array, known by its digest, and in a repr a module of Flax or a function.
NO_SOURCE = ("array(", "# attributes", "<")
# What else stands in their texts: functions by package and name, and the operations of CTAugment.
FUNCTIONS = types.SimpleNamespace(**vars(losses) | vars(cta_operations))
OTHERS = {"builtins": builtins, "mtl_jax": FUNCTIONS, "Operation": cta_operations.Operation}


def test_all_exported_settings_are_held_against_their_annotations():
    import mtl_jax.config.run

    faces = [
        mtl_jax.config.run,
        data,
        nets,
        nets.pretrained,
        augment,
        augment.example,
        consistency,
        metrics,
        optimizers,
    ]
    faces += [weighting, importlib.import_module("mtl_jax.aggregation")]
    faces += [importlib.import_module(f"mtl_jax.{name}") for name in
              ("domain_adaptation", "sharing", "transfer", "config.toy", "config.sklearn_baseline",
               "config.param_rules", "config.task_schedule", "config.execution",
               "config.meta_pseudo_labels", "config.cross_task", "config.balance_options",
               "config.study_design", "config.task", "core.views")]  # fmt: skip
    bare = {
        name
        for face in faces
        for name, each in vars(face).items()
        if isinstance(each, type)
        and dataclasses.is_dataclass(each)
        and not "__typechecked__" in vars(each)
    }
    assert bare == set()
    assert len(SETTINGS) > 200


@pytest.mark.parametrize("name", SETTINGS, ids=lambda name: name.removeprefix("mtl_jax."))
def test_a_value_of_another_kind_is_refused(name):
    setting = SETTINGS[name]
    hints, fine = typing.get_type_hints(setting), made(setting)
    if fine is None:
        pytest.skip("needs a file or a problem")
    fields = {f.name: f for f in dataclasses.fields(setting) if f.init and f.name != "parent"}
    for field, (kind, value) in itertools.product(fields, BAD.items()):
        if of_kind(value, hints[field]) or value is fields[field].default:
            continue
        with pytest.raises(BadInput) as wrong:
            setting(**{**fine, field: value})
            pytest.fail(f"{name}.{field} took {kind}")
        assert "\n" not in str(wrong.value)


def test_no_setting_can_be_changed_once_it_is_made():
    """What is hashed, compared and printed stays what it was."""
    stateful = (linen.Module, Tracker)
    plain = {name: each for name, each in SETTINGS.items() if not issubclass(each, stateful)}
    assert [name for name, each in plain.items() if not each.__dataclass_params__.frozen] == []


def test_no_two_settings_have_one_name():
    assert len(NAMES) == len(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS, ids=lambda name: name.removeprefix("mtl_jax."))
def test_text_makes_it_again(name):
    """With its defaults, and with every other value that is fine for one of its fields."""
    setting = SETTINGS[name]
    hints, fine = typing.get_type_hints(setting), made(setting)
    if fine is None or issubclass(setting, Tracker):
        pytest.skip("needs a file or a problem, or has a state")
    names = [f.name for f in dataclasses.fields(setting) if f.init and f.name not in FLAX]
    changes = [{name: value} for name in names for value in candidates(hints[name])]
    for change in ({}, *changes):
        try:
            one = setting(**{**fine, **change})
        except BadInput:
            continue
        for text in (to_source(one), repr(one)):
            if not any(mark in text for mark in NO_SOURCE):
                again = eval(text, {**NAMES, **OTHERS})
                assert again == one and hash(again) == hash(one)
                assert to_source(again) == to_source(one)


@pytest.mark.parametrize("name", SETTINGS, ids=lambda name: name.removeprefix("mtl_jax."))
def test_an_unknown_field_is_refused(name):
    with pytest.raises(BadInput, match="is no field"):
        SETTINGS[name](no_such_field=1)


def test_what_is_missing_or_too_much_is_told():
    with pytest.raises(BadInput, match=r"CosineSchedule\.peak must be given"):
        optimizers.CosineSchedule()
    with pytest.raises(BadInput, match="SGD has 3 fields in order, not 4"):
        optimizers.SGD(0.1, 0.9, 0.0, 1)
    with pytest.raises(BadInput, match=r"FixMatch|threshold"):
        consistency.FixMatch(threshold="high")


@dataclasses.dataclass(frozen=True)
class MyMetric(Metric):
    """A metric of a user's own."""

    name: str = "mine"
    higher_is_better: bool = True
    scale: float = 1.0

    def from_model_output(self, logits, labels, mask):
        """Counts."""
        return mask.sum()

    def compute(self, sums):
        """As it is."""
        return sums


@typechecked
@dataclasses.dataclass(frozen=True)
class Everything:
    """A field of each kind that no setting of the package may have a wrong value of."""

    anything: typing.Any = None
    thing: object = 1
    names: dict[str, int] | None = None
    makes: typing.Callable[[], int] | None = None


def test_what_an_annotation_cannot_tell_is_taken():
    fine = Everything(anything=3, thing="x", names={"a": 1}, makes=int)
    assert (fine.anything, fine.thing, fine.makes) == (3, "x", int)
    with pytest.raises(BadInput, match=r"Everything\.makes must be a function or None"):
        Everything(makes=3)


def test_what_fits_a_protocol_is_taken_and_what_it_lacks_is_told():
    assert ROW.replace(metrics=(MyMetric(),)).selection_metric == MyMetric()
    for wrong in (MyMetric(), (MyMetric,), (np.random,), ()):
        with pytest.raises(BadInput, match=r"Task\.metrics must be a tuple of metrics, such as"):
            ROW.replace(metrics=wrong)
    with pytest.raises(BadInput, match=r"Task\.metrics must have distinct names"):
        ROW.replace(metrics=(MyMetric(), MyMetric()))
    for wrong in ({"name": ""}, {"higher_is_better": "yes"}, {"scale": "100"}, {"scale": math.nan}):
        with pytest.raises(BadInput, match=r"Task\.metrics must (have|say)"):
            ROW.replace(metrics=(MyMetric(**wrong),))
    with pytest.raises(
        BadInput, match=r"Run\.trunk must be a trunk, an instance such as nets\.MLP"
    ):
        RUN.replace(trunk=nets.MLP)
    for wrong in ("§", None, -1, [1, 2], object(), len):
        with pytest.raises(BadInput, match=r"Run\.trunk must be a trunk"):
            RUN.replace(trunk=wrong)
    lacks = r"ToyRun\.problem must be a ToyProblem \(it lacks plot_limits, losses, dist"
    with pytest.raises(BadInput, match=lacks):
        ToyRun(
            name="x",
            problem=np.random,
            balance=weighting.Equal(),
            optimizer=optimizers.SGD(0.1),
            steps=100,
            initial_points=((0.0, 1.0),),
        )
    with pytest.raises(BadInput, match=r"Labels\.partial must be True or False, not 'no'"):
        RUN.replace(labels={"partial": "no"})
    with pytest.raises(
        BadInput, match=r"Augmentation\.strong must be a Policy.* or None.*not <class"
    ):
        RUN.replace(augmentation={"strong": augment.Cutout})
    with pytest.raises(BadInput, match=r"factors must be a tuple of different texts"):
        Factorial(["f"], ())
