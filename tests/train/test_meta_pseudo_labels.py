"""Meta Pseudo Labels in the step: one step by hand, what is left alone, and that it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import augment, consistency, nets, optimizers, sharing, train
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels, MetaTeacherState
from mtl_jax.core.policy import Policy
from mtl_jax.core.step_extension import StepContext
from mtl_jax.core.step_types import Batch, StreamInputs
from mtl_jax.core.views import SeparatePass
from mtl_jax.data import Input, MultiInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.evaluated_models import models_of
from mtl_jax.storage.checkpoint import CheckpointManager, digest, to_host
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model
from mtl_jax.transfer import finetuning
from tests.small import COLUMN, DATA, ROW, RUN

ONE = jax.devices()[:1]
UDA = consistency.UDA(threshold=0.4)
TASKS = (ROW.replace(auxiliary=UDA), COLUMN.replace(auxiliary=consistency.FreeMatch()))
COACHED = RUN.replace(name="coached", tasks=TASKS, extensions=(MetaPseudoLabels(meta_weight=5.0),))


@dataclasses.dataclass(frozen=True)
class Negative(Policy):
    """A strong view that another label may fit, and that chance does not change."""

    def __call__(self, key, image):
        return 1.0 - image


# Full batches, so that the order of the examples does not matter.
SILENT = consistency.UDA(weight=0.0)
WHOLE = COACHED.replace(
    tasks=(ROW.replace(auxiliary=SILENT), COLUMN.replace(auxiliary=SILENT)),
    augmentation={"strong": Negative()}, labels={"num_labelled": None, "unlabelled_ratio": 1}, batch_size=96, num_seeds=1,
    optimizer=optimizers.SGD(0.5, momentum=0.0),
    extensions=(MetaPseudoLabels(meta_weight=50.0, baseline_momentum=0.9, optimizer=optimizers.SGD(0.25, momentum=0.0)),),
)  # fmt: skip


def begun(run, devices=ONE):
    """The program of a run, its data, and its state before the first step."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, devices)
    return made, made.put_data(prepared.train), made.init(None)


def trained(run, steps=3, devices=ONE):
    made, given, state = begun(run, devices)
    return made.train_steps(state, given, steps)


def close(one, other, atol=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


def first(tree):
    """What the first seed has of a tree."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def teacher_of(state):
    """The other model between steps."""
    return state.extensions["meta_teacher"]


def said(params, x):
    """Logits by task of a net of one hidden layer."""
    layer, heads = params["shared"]["Dense_0"], params["tasks"]["heads"]
    hidden = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return {n: hidden @ head["kernel"] + head["bias"][None] for n, head in heads.items()}


def entropy(logits, labels):
    log = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log, labels[:, None], 1).mean()


def by_hand(student, teacher, x, labels, strong):
    """Both nets after a step, and h by task, from the paper's equations."""
    given = {name: logits.argmax(-1) for name, logits in said(teacher, strong).items()}

    def lesson(params):
        return sum(entropy(said(params, strong)[name], given[name]) for name in given)

    after = jax.tree.map(lambda p, g: p - 0.5 * g, student, jax.grad(lesson)(student))
    h = {
        n: entropy(said(student, x)[n], labels[n]) - entropy(said(after, x)[n], labels[n])
        for n in given
    }

    def teaching(params):
        # With a mean m that begins at 0: h - (0.9 m + 0.1 h) = 0.9 h.
        return sum(
            entropy(said(params, x)[n], labels[n])
            + 50.0 * 0.9 * h[n] * entropy(said(params, strong)[n], given[n])
            for n in given
        )

    moved = jax.tree.map(lambda p, g: p - 0.25 * g, teacher, jax.grad(teaching)(teacher))
    return after, moved, h, lesson(student)


def test_one_step_by_hand():
    made, given, state = begun(WHOLE)
    student, teacher = (jax.device_get(first(p)) for p in (state.params, teacher_of(state).params))
    stream = load_run_data(WHOLE).train.streams[""]
    x = stream.inputs.reshape(96, -1)
    state, metrics = made.train_steps(state, given, 1)
    after, moved, h, lesson = by_hand(student, teacher, x, stream.labels, 1.0 - x)
    close(first(state.params), after)
    close(first(teacher_of(state).params), moved)
    assert all(abs(value) > 1e-3 for value in h.values())
    for place, name in enumerate(("row", "column")):
        np.testing.assert_allclose(metrics[f"feedback/{name}"][0], h[name], rtol=1e-3)
        np.testing.assert_allclose(teacher_of(state).baseline[0, place], 0.1 * h[name], rtol=1e-3)
    total = metrics["student_loss/row"] + metrics["student_loss/column"]
    np.testing.assert_allclose(total[0], lesson, rtol=1e-5)
    # The weak view has other labels, so the test would tell the two apart.
    weak, strong = said(teacher, x), said(teacher, 1.0 - x)
    assert (weak["row"].argmax(-1) != strong["row"].argmax(-1)).any()


@pytest.mark.slow
def test_h_is_to_first_order_the_papers_product_of_gradients():
    slow = WHOLE.replace(optimizer=optimizers.SGD(3e-4, momentum=0.0), tasks=WHOLE.tasks[:1])
    made, given, state = begun(slow)
    student, teacher = (jax.device_get(first(p)) for p in (state.params, teacher_of(state).params))
    stream = load_run_data(slow).train.streams[""]
    x = stream.inputs.reshape(96, -1)
    y = said(teacher, 1.0 - x)["row"].argmax(-1)
    state, metrics = made.train_steps(state, given, 1)
    back = jax.grad(lambda p: entropy(said(p, x)["row"], stream.labels["row"]))
    one = back(jax.device_get(first(state.params)))
    other = jax.grad(lambda p: entropy(said(p, 1.0 - x)["row"], y))(student)
    product = sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), one, other)))
    # Section 2 of the paper, eta times the product; the difference is of order eta^2.
    np.testing.assert_allclose(metrics["feedback/row"][0], 3e-4 * product, rtol=2e-2)


def fed(run, mask, mean=0.0):
    """What is added to the losses for random outputs, and its gradient to them."""
    net, random = build_model(run), np.random.default_rng(0)
    params, stats = net.init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
    images = {
        v: jnp.array(random.random((6, 6, 6, 1)), jnp.float32) for v in ("labelled", "strong")
    }
    labels = {"row": jnp.arange(6) % 3, "column": jnp.arange(6) % 2}
    batch = Batch(images, labels, mask, None, None, {}, {})
    opt = run.optimizer.build(run.steps).init(params)
    (setting,) = run.extensions
    teacher = MetaTeacherState(params, stats, params, opt, jnp.full(2, mean))
    state = begun(run)[2]._replace(extensions={setting.name: teacher})
    outputs = {n: jnp.array(random.normal(size=(6, 3)), jnp.float32) for n in labels}

    def total(outputs):
        stream, views = StreamInputs(("row", "column"), batch, (), {}, {}), {"strong": outputs}
        heads, key = params["tasks"]["heads"], jax.random.key(1)
        context = StepContext(run, net, state, (stream,), (views,), {}, heads, key)
        added, student, metrics = setting.extra_losses(context)
        return sum(added.values()), (student, metrics)

    (_, aux), gradient = jax.value_and_grad(total, has_aux=True)(outputs)
    return outputs, gradient, *aux


EVERY = {"row": jnp.ones(6, bool), "column": jnp.ones(6, bool)}


@pytest.mark.slow
@pytest.mark.parametrize("baseline_momentum", [None, 0.9])
def test_no_gradient_flows_through_labels_and_feedback(baseline_momentum):
    run = COACHED.replace(
        extensions=(MetaPseudoLabels(meta_weight=3.0, baseline_momentum=baseline_momentum),)
    )
    outputs, gradient, student, metrics = fed(run, EVERY, mean=0.02)
    for place, name in enumerate(("row", "column")):
        h = metrics[f"feedback/{name}"]
        mean = 0.02 if baseline_momentum is None else 0.9 * 0.02 + 0.1 * h
        signal = h if baseline_momentum is None else h - mean
        np.testing.assert_allclose(student.baseline[place], mean, rtol=1e-5)
        hot = jax.nn.one_hot(outputs[name].argmax(-1), 3)
        slope = (jax.nn.softmax(outputs[name]) - hot) / 6  # by hand
        np.testing.assert_allclose(gradient[name], 3.0 * signal * slope, rtol=1e-4, atol=1e-8)


@pytest.mark.slow
def test_a_task_without_a_label_gives_no_feedback():
    mask = {**EVERY, "row": jnp.zeros(6, bool)}
    run = COACHED.replace(extensions=(MetaPseudoLabels(baseline_momentum=None),))
    _, gradient, student, metrics = fed(run, mask)
    assert metrics["feedback/row"] == 0.0 and metrics["feedback/column"] != 0.0
    np.testing.assert_array_equal(gradient["row"], jnp.zeros((6, 3)))
    head = student.params["tasks"]["heads"]["row"]["kernel"]
    assert not np.allclose(head, student.ema["tasks"]["heads"]["row"]["kernel"]), "it studies"


AVERAGED = consistency.Match(target_view=SeparatePass(("weak",), "teacher"))
RICH = COACHED.replace(
    trunk=nets.PerTaskTrunk(nets.MLP((12,), batch_norm=True)), regularization={"penalties": (sharing.TraceNorm(0.01),)}, tasks=(ROW.replace(auxiliary=AVERAGED), TASKS[1]), num_seeds=1,
)  # fmt: skip
LEARNT = COACHED.replace(augmentation={"strong": augment.ctaugment_fixmatch(pixels=1)}, num_seeds=1)


@pytest.mark.parametrize(
    "run", [RICH, pytest.param(LEARNT, marks=pytest.mark.slow)], ids=["averaged", "learnt policy"]
)
def test_without_feedback_the_teacher_is_a_run_without_a_coach(run):
    alone, given, state = begun(run.replace(extensions=()))
    fields = ("params", "batch_stats", "ema", "opt_state")
    made, _, start = begun(run.replace(extensions=(MetaPseudoLabels(meta_weight=0.0),)))
    same = {field: jax.tree.map(jnp.copy, getattr(state, field)) for field in fields}
    assert not np.allclose(
        *(jax.tree.leaves(p)[-1] for p in (start.params, teacher_of(start).params))
    )
    start = start._replace(
        extensions={**start.extensions, "meta_teacher": teacher_of(start)._replace(**same)}
    )
    state, metrics = alone.train_steps(state, given, 4)
    both, seen = made.train_steps(start, given, 4)
    for field in fields:
        close(getattr(teacher_of(both), field), getattr(state, field))
    for field in ("balance_state", "aux_state"):
        close(getattr(both, field), getattr(state, field))
    assert both.extensions.keys() == {*state.extensions, "meta_teacher"}
    close({name: both.extensions[name] for name in state.extensions}, state.extensions)
    close(metrics, {name: seen[name] for name in metrics})
    more = {f"{what}/{name}" for what in ("feedback", "student_loss") for name in ("row", "column")}
    assert set(seen) - set(metrics) == more


@pytest.mark.slow
def test_feedback_changes_the_teacher_and_the_average_follows_the_student():
    told, _ = trained(COACHED)
    deaf, _ = trained(COACHED.replace(extensions=(MetaPseudoLabels(meta_weight=0.0),)))
    kernels = [teacher_of(s).params["shared"]["Dense_0"]["kernel"] for s in (told, deaf)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4
    made, given, state = begun(COACHED)
    ema = jax.device_get(state.params)
    for step in range(3):
        momentum = min(0.9, (1 + step) / (10 + step))
        state, _ = made.train_steps(state, given, 1)
        ema = optax.incremental_update(jax.device_get(state.params), ema, 1 - momentum)
    close(state.ema, ema)


@pytest.mark.slow
def test_statistics_of_the_student_are_of_the_strong_view_alone():
    run = WHOLE.replace(trunk=nets.MLP((12,), batch_norm=True))
    made, given, state = begun(run)
    layer = jax.device_get(first(state.params["shared"]["Dense_0"]))
    strong = 1.0 - load_run_data(run).train.streams[""].inputs.reshape(96, -1)
    state, _ = made.train_steps(state, given, 1)
    mean = (strong @ layer["kernel"] + layer["bias"]).mean(0)
    np.testing.assert_allclose(state.batch_stats["BatchNorm_0"]["mean"][0], 0.1 * mean, atol=1e-6)
    assert not np.allclose(
        teacher_of(state).batch_stats["BatchNorm_0"]["mean"][0], 0.1 * mean, atol=1e-4
    )


@pytest.mark.slow
def test_what_is_frozen_moves_in_neither_net():
    run = RUN.replace(trunk=nets.MLP((12,), batch_norm=True))
    source, _ = trained(run, 2)
    source = jax.device_get((source.params, source.batch_stats))
    frozen = COACHED.replace(
        trunk=run.trunk,
        initialization={"init_from": run},
        param_rules=finetuning.feature_extraction(),
    )
    prepared = load_run_data(frozen)
    made = compile_run(frozen, prepared.train, ONE)
    state = made.init(source)
    heads = jax.device_get((state.params["tasks"], teacher_of(state).params["tasks"]))
    state, _ = made.train_steps(
        state,
        made.put_data(
            prepared.train._replace(source_model=train.SourceModel(state.params, state.batch_stats))
        ),
        2,
    )
    for net, before in zip((state, teacher_of(state)), heads, strict=True):
        close(net.params["shared"], source[0]["shared"], 0.0)
        close(net.batch_stats, source[1], 0.0)
        moved = jax.tree.map(lambda a, b: not np.allclose(a, b), net.params["tasks"], before)
        assert all(jax.tree.leaves(moved))


@pytest.mark.slow
def test_two_streams_of_the_same_images_are_one():
    inputs = MultiInput((Input("row", DATA, "row"), Input("column", DATA, "column")))
    one, seen = trained(WHOLE, 2)
    two, metrics = trained(WHOLE.replace(data=inputs), 2)
    close((one.params, teacher_of(one), seen), (two.params, teacher_of(two), metrics), 1e-4)


@pytest.mark.slow
def test_the_student_learns_without_a_label_of_its_own():
    made, given, state = begun(
        COACHED.replace(labels={"num_labelled": None}, extensions=(MetaPseudoLabels(),))
    )
    state, _ = made.train_steps(state, given, 150)
    judged = made.evaluate(models_of(COACHED, state), load_run_data(COACHED).splits)[0]["test"]
    for name in ("row", "column"):
        assert (judged["raw"][name]["accuracy"] > 0.8).all(), judged["raw"]
        assert (judged["ema"][name]["accuracy"] > 0.8).all()


@pytest.mark.slow
def test_seeds_side_by_side_are_separate_runs():
    state, metrics = trained(COACHED)
    for seed in range(2):
        alone, seen = trained(COACHED.replace(num_seeds=1, first_seed=seed))
        one = jax.tree.map(lambda leaf, s=seed: leaf[s], (state.params, teacher_of(state), metrics))
        close(first((alone.params, teacher_of(alone), seen)), one)


@pytest.mark.slow
def test_sharded_over_four_devices_is_unsharded():
    norm = COACHED.replace(trunk=nets.MLP((12,), batch_norm=True))
    alone, seen = trained(norm)
    spread, metrics = trained(norm, devices=jax.devices()[:4])
    assert len(jax.tree.leaves(teacher_of(spread))[0].sharding.device_set) == 4
    close((alone.params, alone.batch_stats, teacher_of(alone), seen),
          (spread.params, spread.batch_stats, teacher_of(spread), metrics), 5e-5)  # fmt: skip


@pytest.mark.slow
def test_it_resumes_bitwise(tmp_path):
    made, given, state = begun(RICH)
    state, _ = made.train_steps(state, given, 2)
    checkpoints = CheckpointManager(tmp_path, print)
    checkpoints.save(2, state, {}, {})
    checkpoints.wait()
    straight, _ = made.train_steps(state, given, 2)
    made, given, fresh = begun(RICH)
    resumed, *_ = checkpoints.restore(fresh)
    resumed, _ = made.train_steps(resumed, given, 2)
    assert digest(to_host(resumed)) == digest(to_host(straight))
