"""Every method for classes on a segmentation: its examples are the pixels."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency, data, losses, metrics, nets, optimizers, train, weighting
from mtl_jax.config.run import Labels, Run
from mtl_jax.config.run_groups import Augmentation
from mtl_jax.config.task import Task, teacher_view, uses_source_model
from mtl_jax.core.head import Head
from mtl_jax.core.policy import Policy
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.transfer import BiTuning
from tests.dense import CLASS_MAP, CLASSES, RUN, TRUNK
from tests.laws.test_target_types import METHODS

ONE = jax.devices()[:1]
OLD = ((r"tasks/heads/classes/(.*)", r"tasks/heads/classes/old/\1"),)


def for_classes():
    """The exported methods for classes, told the width of this trunk."""
    for name, method in METHODS.items():
        if "multiclass" in method.target_types:
            yield name, BiTuning(features=4) if isinstance(method, BiTuning) else method


def run_of(method):
    """A run on the segmentation with all that the method needs, and its source run."""
    trunk = nets.TwoBranch(TRUNK) if method.needs_two_branches else TRUNK
    source = RUN.replace(name="source", tasks=(CLASS_MAP,), trunk=trunk)
    task = CLASS_MAP.replace(auxiliary=method)
    changes = {"augmentation": {"medium": RUN.augmentation.strong}}
    if teacher_view(task):
        changes["labels"] = {"teachers": (source,)}
    starts = uses_source_model(task) or method.has_precompute or bool(method.source_heads)
    if starts:
        old = OLD if method.source_heads else ()
        changes["initialization"] = {"init_from": source, "param_map": old}
    run = source.replace(name="method", tasks=(task,), **changes)
    return run, source if starts else None


def with_teacher(run, prepared):
    """The data with the outputs of a teacher, all equal."""
    teacher = abstract_data(run).streams[""].teacher
    outputs = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), teacher)
    return prepared._replace(streams={"": prepared.streams[""]._replace(teacher=outputs)})


def stepped(method):
    """State and metrics after a step."""
    run, source = run_of(method)
    given = with_teacher(run, load_run_data(run).train)
    made = compile_run(run, given, ONE)
    if source is None:
        return made.train_steps(made.init(None), made.put_data(given), 1)
    first = compile_run(source, given, ONE).init(None)
    state = made.init((first.params, first.batch_stats))
    anchor = jax.tree.map(jnp.copy, train.SourceModel(state.params, state.batch_stats))
    given = with_precomputed(run, made, given._replace(source_model=anchor))
    return made.train_steps(state, given, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", dict(for_classes()).values(), ids=dict(for_classes()))
def test_every_method_makes_a_step(method):
    state, metrics = stepped(method)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
    assert "unlabelled_loss/classes" in metrics


@dataclasses.dataclass(frozen=True)
class Dim(Policy):
    """Inputs of half the size, an augmentation without chance."""

    def __call__(self, key, x):
        return 0.5 * x


class EachPixel(nn.Module):
    """A layer at every pixel."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.tanh(nn.Dense(6)(x))


class Anywhere(Head, nn.Module):
    """A linear head at every pixel, or of every example."""

    num_outputs: int

    @nn.compact
    def __call__(self, features, *, train):
        return nn.Dense(self.num_outputs)(features)


def problem():
    """Images of 4 x 4 pixels with three channels; half of the labels of each image are missing."""
    rng = np.random.default_rng(0)
    inputs = rng.random((8, 4, 4, 3), np.float32)
    labels = inputs.argmax(-1).astype(np.int32)
    missing = rng.permuted(np.tile(np.arange(16) < 8, (8, 1)), axis=1).reshape(8, 4, 4)
    return {"inputs": inputs, "classes": np.where(missing, -1, labels)}


def run_on(arrays, batch_size, ratio, method):
    """Full batches of labelled and unlabelled examples."""
    return Run(
        name="pixels",
        data=data.Arrays(arrays, arrays, arrays),
        tasks=(
            Task(
                name="classes",
                head=Anywhere(CLASSES),
                loss=losses.cross_entropy,
                metrics=(metrics.Accuracy(),),
                auxiliary=method,
            ),
        ),
        trunk=EachPixel(),
        balance=weighting.Equal(),
        optimizer=optimizers.SGD(0.5),
        steps=8,
        batch_size=batch_size,
        labels=Labels(unlabelled_ratio=ratio),
        augmentation=Augmentation(strong=Dim(), medium=Dim()),
    )


SAME = {
    "FixMatch": consistency.FixMatch(threshold=0.4),
    "FreeMatch": consistency.FreeMatch(),
    "FlexMatch": consistency.FlexMatch(threshold=0.4),
    "MeanTeacher": consistency.MeanTeacher(),
    "SoftMatch": consistency.SoftMatch(),
    "UDA": consistency.UDA(threshold=0.4),
    "Dash": consistency.Dash(warm_up=1, initial_loss=2.0),
    "DeFixMatch": consistency.DeFixMatch(threshold=0.4),
    "ReFixMatch": consistency.ReFixMatch(mask=consistency.ConfidenceThreshold(0.4)),
    "PseudoLabel": consistency.PseudoLabel(threshold=0.4),
    "TemporalEnsembling": consistency.TemporalEnsembling(),
    "SignalAnnealing": consistency.SignalAnnealing(consistency.FixMatch(threshold=0.4)),
}
FAST = ("FixMatch", "FlexMatch", "MeanTeacher")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in SAME]
)
def test_a_segmentation_by_pixel_is_a_classification_of_pixels(name):
    """Missing pixels are examples without a label; losses, rates and steps agree."""
    maps = problem()
    pixels = {"inputs": maps["inputs"].reshape(-1, 3), "classes": maps["classes"].reshape(-1)}
    found = []
    for arrays, batch_size, ratio in ((maps, 8, 1), (pixels, 64, 2)):
        run = run_on(arrays, batch_size, ratio, SAME[name])
        given = load_run_data(run).train
        made = compile_run(run, given, ONE)
        state, told = made.init(None), made.put_data(given)
        for _ in range(3):
            state, seen = made.train_steps(state, told, 1)
        found.append(jax.device_get((state.params, seen)))
    (params, one), (others, other) = found
    assert one.keys() == other.keys() and one["unlabelled_loss/classes"] != 0
    # The mask rate of labelled views is only logged, and is of all their pixels.
    for key, value in ((key, one[key]) for key in one if not key.startswith("labelled_mask")):
        np.testing.assert_allclose(value, other[key], rtol=1e-4, atol=1e-6, err_msg=key)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), params, others
    )
