"""Consistency across tasks: which pairs count, what learns, and that it is in the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.config.cross_task import (
    CrossTask,
    class_probabilities,
    cosine,
    cross_task,
    features_of,
)
from mtl_jax.config.run import Labels
from mtl_jax.core.features import Pyramid
from mtl_jax.core.model import undefined
from mtl_jax.core.step_extension import StepContext
from mtl_jax.core.step_types import Batch, StreamInputs
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import make_model
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.part_checks import check_parts
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model
from tests import dense
from tests.dense import SIDE
from tests.small import HEIGHT, ROW, RUN

RELATED = RUN.replace(
    name="related",
    extensions=(CrossTask(width=5),),
    labels={"partial": True},
    tasks=(*RUN.tasks, HEIGHT),
)
PIXELS = dense.RUN.replace(
    tasks=(dense.CLASS_MAP, dense.DEPTH), extensions=(CrossTask(width=5),), labels=Labels()
)
B = 6


def test_the_loss_by_hand():
    p, l, f = jnp.array([[1.0, 0.0]]), jnp.array([[3.0, 4.0]]), jnp.array([[0.0, -2.0]])
    # cos(p, l) = 0.6, cos(p, f) = 0, cos(l, f) = -0.8.
    np.testing.assert_allclose(cross_task(p, l, f), 0.4 + 0.5 * (1.0 + 1.8), rtol=1e-6)
    np.testing.assert_allclose(cross_task(p, l, f, feature_weight=0.0), 0.4, rtol=1e-6)
    np.testing.assert_allclose(cross_task(p, 2 * p, 3 * p), 0.0, atol=1e-6)


def test_gradients_of_the_loss():
    p, l, f = (jnp.array(np.random.default_rng(i).normal(size=(3, 4))) for i in range(3))
    grads = jax.grad(lambda *a: cross_task(*a).sum(), (0, 1, 2))(p, l, f)
    assert all(np.abs(g).sum() > 0 for g in grads[:2])
    np.testing.assert_array_equal(grads[2], jnp.zeros_like(f))
    zero = jax.grad(lambda v: cosine(v, l).sum())(jnp.zeros_like(p))
    np.testing.assert_array_equal(zero, jnp.zeros_like(p))


def added(mask, labels=None):
    """What each task's loss gets, for masks `{task: [B]}`."""
    labels = labels or {
        "row": jnp.arange(B) % 3, "column": jnp.arange(B) % 2, "height": jnp.linspace(0, 1, B)
    }  # fmt: skip
    return added_by(mask, labels)


@jax.jit
def added_by(mask, labels):
    """The same, compiled once."""
    net = build_model(RELATED)
    params, _ = net.init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
    random = np.random.default_rng(0)
    names = [task.name for task in RELATED.tasks]
    batch = Batch({}, labels, mask, None, None, {}, {})
    outputs = {"labelled": {
        task.name: jnp.array(random.normal(size=(B, task.num_outputs)), jnp.float32)
        for task in RELATED.tasks
    }}  # fmt: skip
    features = {n: (jnp.array(random.normal(size=(B, 12)), jnp.float32),) for n in names}
    stream = StreamInputs(tuple(names), batch, (), {}, {})
    heads = params["tasks"]["heads"]
    context = StepContext(
        RELATED, net, None, (stream,), (outputs,), features, heads, jax.random.key(1)
    )
    return RELATED.extensions[0].extra_losses(context).losses


def masks_of(**by_task):
    """Masks `[B]` by task, repeated as often as needed."""
    return {name: jnp.array(np.resize(each, B), bool) for name, each in by_task.items()}


def masks(row, column, height):
    return masks_of(row=row, column=column, height=height)


def test_only_pairs_of_an_unlabelled_and_a_labelled_task_count():
    everything = added(masks([1], [1], [1]))
    nothing = added(masks([0], [0], [0]))
    for name in everything:
        assert everything[name] == nothing[name] == 0.0
    for place, name in enumerate(("row", "column", "height")):
        found = added(masks(*([int(at != place)] for at in range(3))))
        assert found.pop(name) > 0 and set(map(float, found.values())) == {0.0}
    some = added(masks([0], [1], [1]))
    pairs = added(masks([0], [1], [0])), added(masks([0], [0], [1]))
    np.testing.assert_allclose(some["row"], sum(each["row"] for each in pairs), rtol=1e-5)
    half = added(masks([0, 1], [1], [0, 1]))
    assert 0 < half["row"] < some["row"]


def test_a_missing_label_does_not_matter():
    mask = masks([0, 1], [1, 0], [1, 1])
    full = added(mask)
    labels = {"row": jnp.where(mask["row"], jnp.arange(B) % 3, -1),
              "column": jnp.where(mask["column"], jnp.arange(B) % 2, -1),
              "height": jnp.linspace(0, 1, B)}  # fmt: skip
    for name, value in added(mask, labels).items():
        np.testing.assert_array_equal(value, full[name])


def own(outputs, labels):
    """A loss of a user's own, which says nothing of targets."""
    return jnp.abs(outputs.sum(-1) - labels)


def test_predictions_for_a_loss_of_ones_own_go_by_its_labels():
    """Of integers they are probabilities of classes; other numbers stay as they are."""
    z = jnp.array(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    whole, numbers = jnp.arange(4) % 3, jnp.linspace(0.0, 1.0, 4)
    np.testing.assert_allclose(class_probabilities(ROW.replace(loss=own), z, whole), p, rtol=1e-5)
    np.testing.assert_array_equal(class_probabilities(ROW.replace(loss=own), z, numbers), z)
    np.testing.assert_allclose(class_probabilities(ROW, z, whole), p, rtol=1e-5)


@pytest.mark.slow
def test_it_is_in_the_step_and_the_relation_learns():
    prepared = load_run_data(RELATED)
    losses, relations = [], []
    for run in (RELATED, RELATED.replace(extensions=())):
        made = compile_run(run, prepared.train, jax.devices()[:1])
        start = made.init(None)
        before = jax.device_get(start.params["tasks"]["heads"])
        state, metrics = made.train_steps(start, made.put_data(prepared.train), 2)
        losses.append(float(metrics["loss/row"][0]))
        relations.append((before, jax.device_get(state.params["tasks"]["heads"])))
    assert losses[0] > losses[1]
    (before, after), (without, _) = relations
    assert "/relation" not in without
    moved = jax.tree.map(
        lambda a, b: not np.allclose(a, b), before["/relation"], after["/relation"]
    )
    assert any(jax.tree.leaves(moved))


def test_settings_are_checked():
    with pytest.raises(BadInput, match=r"CrossTask\.weight must"):
        CrossTask(weight=-1.0)
    with pytest.raises(BadInput, match=r"Run\.extensions with CrossTask needs at least two tasks"):
        RUN.replace(tasks=(ROW,), extensions=(CrossTask(),))
    assert make_model(RUN.trunk, {"row": 3}).embed_cross_task is undefined


def pixels_added(batch, features):
    """What the losses of the tasks of pixels get, and what they are made of."""
    net = build_model(PIXELS)
    params, _ = net.init(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 1)))
    random = np.random.default_rng(0)
    outputs = {
        task.name: jnp.array(random.normal(size=(B, SIDE, SIDE, task.num_outputs)), jnp.float32)
        for task in PIXELS.tasks
    }
    names = tuple(outputs)
    stream = StreamInputs(names, batch, (), {}, {})
    heads = params["tasks"]["heads"]
    by_task = dict.fromkeys(names, (features,))
    context = StepContext(
        PIXELS, net, None, (stream,), ({"labelled": outputs},), by_task, heads, jax.random.key(1)
    )
    return PIXELS.extensions[0].extra_losses(context).losses, net, heads, outputs


def test_pixels_count_where_the_other_label_is_known():
    """The loss of an image is the mean over its known pixels, by hand from the embeddings."""
    arrays = dense.part(B, 3)
    labels = {name: jnp.array(arrays[name]) for name in ("classes", "depth")}
    batch = Batch({}, labels, masks_of(classes=[0, 0, 1], depth=[1, 0, 1]), None, None, {}, {})
    features = jnp.array(np.random.default_rng(1).normal(size=(B, SIDE, SIDE, 4)), jnp.float32)
    losses, net, heads, outputs = pixels_added(batch, features)
    known = np.isfinite(arrays["depth"][..., 0])
    assert losses["depth"] == 0.0 and not known.all(), "depth lacks no label where classes have one"
    values = {
        "classes": jax.nn.softmax(outputs["classes"]), "depth": jnp.nan_to_num(labels["depth"])
    }  # fmt: skip
    embedded = net.embed_cross_task(heads, values, 1)
    each = np.asarray(cross_task(embedded["classes"], embedded["depth"], features))
    of_images = [loss[there].mean() for loss, there in zip(each, known, strict=True)]
    expected = 2.0 * sum(of_images[i] for i in range(B) if i % 3 == 0) / B
    np.testing.assert_allclose(losses["classes"], expected, rtol=1e-5)


def test_features_of_other_sizes_and_types():
    """A smaller map is resized, a pyramid gives its coarsest one, vectors count everywhere."""
    random = np.random.default_rng(0)
    vector = jnp.array(random.normal(size=(B, 4)), jnp.float32)
    constant = jnp.broadcast_to(vector[:, None, None], (B, SIDE // 2, SIDE // 2, 4))
    noise = jnp.array(random.normal(size=(B, SIDE, SIDE, 7)), jnp.float32)
    found = [
        np.broadcast_to(features_of(each, (SIDE, SIDE)), (B, SIDE, SIDE, 4))
        for each in (vector, constant, Pyramid((noise, constant)))
    ]
    for each in found[1:]:
        np.testing.assert_allclose(each, found[0], rtol=1e-6)


def test_tasks_of_other_positions_are_refused():
    run = dense.RUN.replace(tasks=(dense.CLASS_MAP, dense.CORNER), extensions=(CrossTask(width=3),))
    with pytest.raises(BadInput, match=r"CrossTask needs outputs whose positions .*'corner': \(\)"):
        check_parts(run)


@pytest.mark.slow
@pytest.mark.parametrize("run", [dense.RUN, dense.PYRAMID, dense.TOKENS], ids=lambda run: run.name)
def test_partly_labelled_maps_and_sequences_train(run):
    names = tuple(task.name for task in run.tasks)
    run = run.replace(
        data=data.PartialAnnotation(run.data, names), labels=Labels(), extensions=(CrossTask(),)
    )
    losses = []
    for each in (run, run.replace(extensions=())):
        prepared = load_run_data(each)
        made = compile_run(each, prepared.train, jax.devices()[:1])
        state, metrics = made.train_steps(made.init(None), made.put_data(prepared.train), 2)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
        losses.append([float(metrics[f"loss/{name}"][0]) for name in names])
    assert all(more > less for more, less in zip(*losses, strict=True))
