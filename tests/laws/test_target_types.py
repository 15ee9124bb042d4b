"""Every method on every kind of task: it learns by the outputs, or is refused in one line."""

import dataclasses
import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency, domain_adaptation, losses, transfer
from mtl_jax.config.task import Task
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import AdversarialView
from mtl_jax.losses.target_type import possible_types, target_type, types_of
from mtl_jax.metrics.binary import F1
from mtl_jax.metrics.predictions import Accuracy, MeanSquaredError
from tests.consistency.seen import B, C, N, seen
from tests.consistency.warm import warm
from tests.laws.test_consistency import trained_loss

D = 5
# By layer, the shape of one example's map.
MAPS = {"Conv_0": (2, 3, 2), "Conv_1": (2, 2, 3)}
# By kind of task, its loss and outputs.
KINDS = {
    "classes": (losses.cross_entropy, C),
    "yes or no": (losses.binary_cross_entropy, 1),
    "several labels": (losses.binary_cross_entropy, C),
    "a number": (losses.squared_error, 1),
    "several numbers": (losses.squared_error, C),
    "partial": (functools.partial(losses.squared_error), 1),
}
# What a method must be told, or more of it than it is by default.
TOLD = {
    "BiTuning": [{"features": D}],
    "LwF": [{"classes": 3}],
    "CoTuning": [{"classes": 3}],
    "Distillation": [{"weight": 1.0}],
    "VAT": [{}, {"target_type": "continuous"}],
    "RankUp": [{}, {"regression_method": consistency.RDA()}],
    "SignalAnnealing": [{}, {"method": consistency.FlexMatch()}],
    "MultiLabel": [{}, {"method": consistency.FreeMatch()}, {"method": transfer.BSS()}],
    "SumOfLosses": [
        {},
        {"methods": (transfer.BSS(view="weak"), domain_adaptation.CORAL())},
        {"methods": (consistency.RankUp(), transfer.FitNet())},
        {"methods": (consistency.MultiLabel(), domain_adaptation.DAN())},
    ],
}


def exported():
    """Everything that can stand in `Task.auxiliary`, by how it prints."""
    found = {}
    for face in (consistency, transfer, domain_adaptation):
        for name, make in vars(face).items():
            recipe = inspect.isfunction(make) and name[0].isupper()
            if recipe or (hasattr(make, "views") and hasattr(make, "update")):
                for told in TOLD.get(name, [{}]):
                    found[f"{name}({', '.join(map(str, told.values()))})"] = make(**told)
    return found


METHODS = exported()
every = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
kinds = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "partial"])


@dataclasses.dataclass(frozen=True)
class Own(Metric, AuxiliaryLoss):
    """A metric and a method of a user's own, which say nothing of targets."""

    name, higher_is_better, scale = "own", True, 1.0
    weight, views = 1.0, ()

    def from_model_output(self, logits, labels, mask):
        return mask.sum()

    def compute(self, sums):
        return sums

    def init(self, sizes):
        return ()

    def update(self, views, state):
        return jnp.zeros(1), state, {}


def task_of(method, kind, metric=None):
    """A task of a kind that learns by a method."""
    loss, outputs = KINDS[kind]
    return Task(
        name="y", num_outputs=outputs, loss=loss, metrics=(metric or Own(),), auxiliary=method
    )


def labels_for(kind, random):
    """Labels `[B]` or `[B, C]` of a kind of task."""
    outputs = KINDS[kind][1]
    if kind == "classes":
        return np.arange(B, dtype=np.int32) % C
    shape = (B,) if outputs == 1 else (B, outputs)
    yes = kind in ("yes or no", "several labels")
    return (random.integers(0, 2, shape) if yes else random.normal(size=shape)).astype(np.float32)


def sight(method, kind):
    """What a method sees of a batch, sure of it, and the weights of the heads that it calls."""
    outputs, random = KINDS[kind][1], np.random.default_rng(0)
    views = seen(method, 1, sure=True, classes=outputs)
    sizes = {view: len(logits) for view, logits in views.logits.items()}

    def drawn(*shape):
        return random.normal(size=shape).astype(np.float32)

    heads = method.aux_heads(outputs)
    weights = {"": drawn(D, outputs)} | {
        name: drawn(head.input_size or head.input_multiple * D, head.outputs)
        for name, head in heads.items()
        if isinstance(head, AuxMLP)
    }
    ones = {layer: jnp.ones(shape[-1]) for layer, shape in MAPS.items()}
    opened = tuple(ones for _ in getattr(method, "methods", ())) or ones
    views = views._replace(
        labels=labels_for(kind, random),
        features={view: drawn(size, D) for view, size in sizes.items()},
        feature_maps={
            view: {name: drawn(size, *shape) for name, shape in MAPS.items()}
            for view, size in sizes.items()
        },
        precomputed=opened,
        progress=np.float32(0.7),
    )
    return views, weights


def begun(method, outputs, views, weights):
    """A state in which a method has begun to use what it sees."""
    state = method.init(DatasetSizes(outputs, N, N))
    if isinstance(method, transfer.BiTuning):  # Its queues are empty at first.
        return method.update(views._replace(head_fn=lambda name, x: x @ weights[name]), state)[1]
    return warm(method, state)


@every
def test_a_method_says_what_it_is_for(method):
    assert set(method.target_types) <= set(ALL_TYPES) and method.target_types


@kinds
@every
def test_a_method_learns_by_the_outputs_or_is_refused(method, kind):
    own = target_type(*KINDS[kind])
    if own not in method.target_types:
        with pytest.raises(BadInput, match=rf"Task\.auxiliary must be for {own} .*is for ") as said:
            task_of(method, kind)
        assert "\n" not in str(said.value)
        return
    task = task_of(method, kind)
    views, weights = sight(method, kind)
    state = begun(method, task.num_outputs, views, weights)

    def total(logits, heads, features, maps, weights):
        now = views._replace(logits=logits, heads=heads, features=features, feature_maps=maps)
        now = now._replace(head_fn=lambda name, x: x @ weights[name])
        return trained_loss(method, now, state, task.loss), method.update(now, state)[2]

    given = (views.logits, views.heads, views.features, views.feature_maps, weights)
    slope = jax.jit(jax.value_and_grad(total, (0, 1, 2, 3, 4), has_aux=True))
    (loss, metrics), grads = slope(*given)
    assert np.isfinite(loss)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((grads, metrics)))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(grads)) > 1e-6


@pytest.mark.parametrize("kind", ["classes", "yes or no", "several labels"])
def test_what_is_not_sure_does_not_pass_a_threshold(kind):
    method = consistency.FixMatch(0.95)
    method = method if kind == "classes" else consistency.MultiLabel(method)
    views, _ = sight(method, kind)
    unsure = {name: np.zeros_like(logits) for name, logits in views.logits.items()}
    state = method.init(DatasetSizes(KINDS[kind][1], N, N))
    _, _, sure = jax.jit(method.update)(views, state)
    _, _, metrics = jax.jit(method.update)(views._replace(logits=unsure), state)
    assert metrics["mask_rate"] == 0.0 < sure["mask_rate"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", [Accuracy(), F1(), MeanSquaredError()], ids=repr)
def test_a_metric_judges_its_targets_or_is_refused(metric, kind):
    own = target_type(*KINDS[kind])
    if own in metric.target_types:
        assert task_of(None, kind, metric).metrics == (metric,)
        return
    told = rf"Task\.metrics must be for {own} .*{re.escape(repr(metric))} is for"
    with pytest.raises(BadInput, match=told):
        task_of(None, kind, metric)


def test_each_type_has_a_metric():
    known = [t for metric in (Accuracy(), F1(), MeanSquaredError()) for t in metric.target_types]
    assert set(known) == set(ALL_TYPES)


def hinge(outputs, labels):
    """A loss of a user's own."""
    return jnp.maximum(0.0, 1.0 - outputs[:, 0] * labels)


def test_what_is_a_users_own_is_taken():
    own = Task(name="y", num_outputs=1, loss=hinge, metrics=(Own(),), auxiliary=Own())
    assert types_of(own.selection_metric) == ALL_TYPES
    assert own.replace(metrics=(Accuracy(),)) and own.replace(num_outputs=3, metrics=(Accuracy(),))
    assert own.replace(num_outputs=3, auxiliary=consistency.FixMatch())
    assert possible_types(hinge, 1) == ("binary", "continuous")


def test_one_output_is_never_classes_whatever_the_loss():
    with pytest.raises(BadInput, match=r"Task\.auxiliary must be for binary or continuous"):
        Task(
            name="y", num_outputs=1, loss=hinge, metrics=(Own(),), auxiliary=consistency.FixMatch()
        )
    with pytest.raises(BadInput, match=r"Task\.num_outputs must be 2 or more with cross_entropy"):
        Task(name="y", num_outputs=1, loss=losses.cross_entropy, metrics=(Accuracy(),))


def test_an_adversary_of_classes_needs_classes():
    method = consistency.MatchRegression(student_view=AdversarialView())
    with pytest.raises(BadInput, match=r"Task\.auxiliary must not ask for an adversary of classes"):
        task_of(method, "a number")
    assert task_of(
        consistency.MatchRegression(student_view=AdversarialView(target_type="continuous")),
        "a number",
    )


def test_methods_for_different_targets_do_not_stand_together():
    with pytest.raises(BadInput, match=r"SumOfLosses\.methods must be for one type of targets"):
        consistency.SumOfLosses((consistency.FixMatch(), consistency.RankUp()))
    with pytest.raises(BadInput, match=r"SignalAnnealing\.method must be a method for classes"):
        consistency.SignalAnnealing(consistency.PiModelRegression())
    both = consistency.SumOfLosses((transfer.BSS(), consistency.PiModelRegression()))
    assert both.target_types == ("continuous",)
