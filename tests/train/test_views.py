"""Views in a step: which images go where, whose statistics are kept, what is differentiated."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, nets, optimizers
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.model import Model
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import SourceModel, StepInputs
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import (
    AdversarialView,
    CutMixView,
    MixedView,
    RotatedView,
    SeparatePass,
    view_key,
)
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model
from mtl_jax.train.batch import prepare_inputs, sample_batch
from mtl_jax.train.step_losses import make_objective
from mtl_jax.train.view_requests import group_requests
from mtl_jax.train.views import Sampler, cut_view, mix_views, vat_perturbation
from tests.small import COLUMN, ROW, RUN

ONE = jax.devices()[:1]
PLAIN = ("weak", "weak2", "medium", "labelled_strong", "strong", "strong2")


@dataclasses.dataclass(frozen=True)
class Watch(AuxiliaryLoss):
    """A method that keeps what it sees: the mean squared output of every view, and of its head."""

    views: tuple[Any, ...]
    learn: tuple[Any, ...] = ()
    weight: float = 1.0

    def aux_heads(self, num_classes):
        """One head of two outputs."""
        return {"own": AuxHead(2, 1)}

    def init(self, sizes):
        """A number for each view."""
        names = ("labelled", *map(view_key, self.views))
        return {name: jnp.zeros((2,)) for name in names} | {"sizes": jnp.array(sizes[1:])}

    def update(self, views, state):
        """Keeps what is seen; learns from the views that it is told to."""
        kept = {
            name: jnp.stack(
                [jnp.square(views.outputs(name, head)).mean() for head in (None, "own")]
            )
            for name in state
            if name != "sizes"
        }
        loss = sum(jnp.square(views.outputs(v)).mean(-1).sum()[None] for v in self.learn)
        loss = loss if self.learn else jnp.zeros(1)
        return loss, {**kept, "sizes": state["sizes"]}, {}


def watching(*views, learn=(), **changes) -> Run:
    task = ROW.replace(auxiliary=Watch(views, learn))
    return RUN.replace(
        tasks=(task, COLUMN), trunk=nets.MLP((6,), batch_norm=True), augmentation={"medium": augment.RandomTranslate(1), "strong": augment.Cutout(3), "weak": augment.RandomTranslate(2)}, num_seeds=1, **changes,
    )  # fmt: skip


def batch_of(run, state, loop):
    """The batch of the first step of one seed."""
    stream = jax.tree.map(jnp.asarray, load_run_data(run).train.streams[""])
    stream = stream._replace(labelled=jax.tree.map(lambda leaf: leaf[0], stream.labelled))
    sampler, requests = Sampler(run, loop, ()), group_requests(run.tasks)
    choose = jax.jit(sample_batch, static_argnames=("sampler", "requests"))
    return choose(sampler, stream, requests, state.key, state.step)


def inputs_of(run, net, state, batch, source=None):
    """What goes through a net in a step of one stream."""
    requests = group_requests(run.tasks)
    step = StepInputs(run, net, state, jax.random.key(0), source)
    return prepare_inputs(step, batch, requests)


def begun(run):
    """One seed's state before the first step, its data, and the batch of its first step."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    state = jax.tree.map(lambda leaf: leaf[0], made.init(None))
    batch = batch_of(run, state, "vmap")
    return state, batch


def stepped(run):
    """State before and after the first step."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    before = jax.device_get(made.init(None))
    return before, made.train_steps(made.init(None), made.put_data(prepared.train), 1)[0]


def test_every_plain_view_is_its_own_image():
    _, batch = begun(watching(*PLAIN))
    assert set(batch.inputs) == {"labelled", "weak", "weak2", "medium", "labelled_strong",
                                 "strong", "strong2"}  # fmt: skip
    sizes = {name: len(images) for name, images in batch.inputs.items()}
    assert sizes == {name: 8 if name.startswith("labelled") else 16 for name in batch.inputs}
    unlike = [v for name, v in batch.inputs.items() if not name.startswith("labelled")]
    assert len({np.asarray(v).tobytes() for v in unlike}) == 5, "drawn independently"
    assert (np.asarray(batch.inputs["strong"]) == 0.0).sum() >= 16 * 4, "cut out"


def test_what_nobody_asks_for_is_not_made():
    _, batch = begun(watching("strong"))
    assert list(batch.inputs) == ["labelled", "strong"]
    assert list(begun(RUN.replace(num_seeds=1))[1].inputs) == ["labelled"]


@pytest.mark.slow
def test_mixed_and_rotated_views():
    mix, turn = MixedView(("labelled", "weak"), alpha=0.5), RotatedView("strong")
    _, batch = begun(watching(mix, turn))
    partner, ratio, _ = batch.view_params[view_key(mix)]
    own = np.concatenate([batch.inputs["labelled"], batch.inputs["weak"]])
    r = np.asarray(ratio)[:, None, None, None]
    np.testing.assert_allclose(
        batch.inputs[view_key(mix)], r * own + (1 - r) * own[partner], atol=1e-6
    )
    assert sorted(np.asarray(partner)) == list(range(24)) and (np.asarray(ratio) >= 0.5).all()
    turns = np.asarray(batch.view_params[view_key(turn)])
    assert np.bincount(turns).tolist() == [4, 4, 4, 4]
    wanted = [np.rot90(image, k) for image, k in zip(batch.inputs["strong"], turns, strict=True)]
    np.testing.assert_array_equal(batch.inputs[view_key(turn)], wanted)


def test_an_image_that_stays_mostly_itself_has_the_larger_share():
    random, key = np.random.default_rng(0), jax.random.key(3)
    images = {
        name: jnp.array(random.random((count, 4, 4, 1)), jnp.float32)
        for name, count in (("weak", 9), ("strong", 7))
    }
    plain = MixedView(("weak", "strong"), keep_dominant=False)
    drawn = np.asarray(mix_views(plain, key, images)[1].ratio)
    assert (drawn < 0.5).any() and (drawn > 0.5).any()
    found, (partner, ratio, _) = mix_views(
        dataclasses.replace(plain, keep_dominant=True), key, images
    )
    np.testing.assert_allclose(ratio, np.maximum(drawn, 1 - drawn), rtol=1e-6)
    own, share = np.concatenate(list(images.values())), np.asarray(ratio)[:, None, None, None]
    np.testing.assert_allclose(found, share * own + (1 - share) * own[partner], atol=1e-6)


def test_cutmix_says_what_is_left():
    mix = MixedView(("weak", "strong"), alpha=1.0, kind="cutmix", keep_dominant=False)
    _, batch = begun(watching(mix))
    partner, ratio, _ = batch.view_params[view_key(mix)]
    own = np.concatenate([batch.inputs["weak"], batch.inputs["strong"]])
    same = (np.asarray(batch.inputs[view_key(mix)]) == own).all(-1).mean((1, 2))
    assert (same >= np.asarray(ratio) - 1e-6).all() and (np.asarray(ratio) < 1).any()
    assert np.asarray(partner).shape == (32,)


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_cutmix_inside_an_image(probability):
    cut = CutMixView("strong", area=(0.3, 0.6), aspect=2.0, probability=probability)
    _, batch = begun(watching(cut))
    partner, ratio, ratio_map = batch.view_params[view_key(cut)]
    own, pasted = np.asarray(batch.inputs["strong"]), np.asarray(ratio_map) == 0.0
    wanted = np.where(pasted[..., None], own[partner], own)
    np.testing.assert_array_equal(batch.inputs[view_key(cut)], wanted)
    np.testing.assert_allclose(ratio, ratio_map.mean((1, 2)), rtol=1e-6)
    assert pasted.any((1, 2)).mean() == 1.0 if probability == 1.0 else not pasted.any((1, 2)).all()


@pytest.mark.parametrize("view", [CutMixView(), MixedView(("weak",), kind="cutmix")], ids=str)
def test_numbers_are_not_cut(view):
    make = cut_view if isinstance(view, CutMixView) else mix_views
    inputs = {name: jnp.zeros((4, 7)) for name in ("weak", "strong")}
    with pytest.raises(BadInput, match=r"View.view cuts images \[H, W, C\], not \(7,\)"):
        make(view, jax.random.key(0), inputs)


def test_labelled_images_stay_away_where_no_loss_wants_them():
    @dataclasses.dataclass(frozen=True)
    class Own(Watch):
        def labelled_loss(self, views, loss, state):
            return jnp.zeros(())

    task = ROW.replace(auxiliary=Own(("weak",)))
    assert group_requests([task]).joint == ("weak",)
    assert group_requests([task, COLUMN]).joint == ("labelled", "weak")


def outputs(net: Model, params, stats, images):
    """Mean squared outputs of both heads, and the statistics, of a pass in training."""
    features, moved = net.encode(encoder_params(params), stats, images, train=True)
    logits = net.decode(
        head_params(params), stats, {"row": features, "column": features}, train=True
    )[0]
    return [np.square(logits[name]).mean() for name in ("row", "row/own")], moved


@pytest.mark.slow
def test_passes_of_their_own_leave_no_statistics():
    """One pass of all that is together; the others normalize by themselves and are forgotten."""
    alone = SeparatePass(("weak", "labelled"))
    run = watching(
        "strong",
        alone,
        SeparatePass(("weak2",), "frozen_student"),
        SeparatePass(("weak",), "teacher"),
    )
    before, after = stepped(run)
    start, batch = begun(run)
    net = build_model(run)
    both = jnp.concatenate([batch.inputs["labelled"], batch.inputs["strong"]])
    _, moved = outputs(net, start.params, start.batch_stats, both)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-5), after.batch_stats, moved
    )
    seen = after.aux_state["row"]
    apart = jnp.concatenate([batch.inputs["weak"], batch.inputs["labelled"]])
    for name, images in ((view_key(alone), apart), (view_key(SeparatePass(("weak2",), "frozen_student")),
                         batch.inputs["weak2"])):  # fmt: skip
        found, _ = outputs(net, start.params, start.batch_stats, images)
        np.testing.assert_allclose(seen[name][0], found, rtol=1e-4)
    assert head_params(before.params).keys() == {"row", "column", "row/own"}


def test_the_teacher_is_the_average():
    teacher = SeparatePass(("weak",), "teacher")
    run = watching("weak", teacher, optimizer=optimizers.SGD(0.5), evaluation={"ema_decay": 1.0})
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    state, _ = made.train_steps(made.init(None), made.put_data(prepared.train), 3)
    # EMA's first steps follow the parameters: so the teacher is late, not the same.
    seen = state.aux_state["row"]
    assert not np.allclose(seen["weak"], seen[view_key(teacher)], rtol=1e-2)


@pytest.mark.parametrize(
    ("view", "learns"),
    [("strong", True), (SeparatePass(("strong",)), True), (SeparatePass(("strong",), "frozen_student"), False),
     (SeparatePass(("strong",), "teacher"), False), (AdversarialView(radius=0.5), True)],
    ids=str,
)  # fmt: skip
def test_who_learns(view, learns):
    """The gradient of the trunk from a loss on one view alone."""
    run = watching(view, learn=(view,))
    state, batch = begun(run)
    kept, frozen = partition_params(state.params, run.param_rules)

    def losses_of(run, kept):
        net = build_model(run)
        streams = (inputs_of(run, net, state, batch),)
        step = StepInputs(run, net, state, jax.random.key(0))
        return make_objective(step, frozen, streams).losses(kept)

    @jax.jit
    def slope(kept):
        def total(kept, weight):
            row, column = losses_of(run, kept)
            return row * weight[0] + column * weight[1]

        plain = watching(view)

        def without(kept):
            return losses_of(plain, kept)[0]

        one = jax.grad(total)(kept, jnp.array([1.0, 0.0]))
        return jax.tree.map(jnp.subtract, one, jax.grad(without)(kept))

    found = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(slope(kept)["shared"]))
    assert (found > 1e-4) == learns


@pytest.mark.slow
def test_an_adversary_is_worse_than_chance_and_each_task_has_its_own():
    """Moved by its own adversary, a task's outputs change more than by the other's."""
    view = AdversarialView("labelled", radius=0.5)
    tasks = tuple(t.replace(auxiliary=Watch((view,))) for t in (ROW, COLUMN))
    run = watching(view).replace(tasks=tasks)
    state, batch = begun(run)
    sight = inputs_of(run, build_model(run), state, batch)
    moved = {name.rpartition("/")[2]: images for name, _, images in sight.passes[1:]}
    own = np.asarray(batch.inputs["labelled"])
    lengths = [np.sqrt(np.square(np.asarray(m) - own).sum((1, 2, 3))) for m in moved.values()]
    np.testing.assert_allclose(lengths, 0.5, rtol=1e-4)
    net = build_model(run)

    def change(images):
        after, _ = net.encode(encoder_params(state.params), state.batch_stats, images, train=True)
        before, _ = net.encode(
            encoder_params(state.params), state.batch_stats, batch.inputs["labelled"], train=True
        )
        heads = head_params(state.params)
        p, q = (
            jax.nn.softmax(net.decode(heads, {}, {"row": f}, train=True)[0]["row"])
            for f in (before, after)
        )
        return float((p * (jnp.log(p) - jnp.log(q))).sum())

    noise = np.random.default_rng(0).normal(size=(20, *own.shape)).astype(np.float32)
    noise *= 0.5 / np.sqrt(np.square(noise).sum((2, 3, 4), keepdims=True))
    chance = max(change(own + each) for each in noise)
    assert change(moved["row"]) > max(chance, change(moved["column"]))


def prepared(view, **changes):
    """What a step sees, and net, state, source and batch of it, whose parameters all differ."""
    run = watching(view, **changes)
    state, batch = begun(run)
    random = np.random.default_rng(0)

    def other(tree):
        return jax.tree.map(lambda leaf: leaf + random.random(leaf.shape, np.float32), tree)

    state = state._replace(ema=other(state.params), batch_stats=other(state.batch_stats))
    source, net = SourceModel(other(state.params), other(state.batch_stats)), build_model(run)
    seen = inputs_of(run, net, state, batch, source)
    return seen, net, state, source, batch


def row_outputs(net: Model, params, stats, images, train):
    """Outputs of the head of a task."""
    features, _ = net.encode(encoder_params(params), stats, images, train=train)
    return net.decode(head_params(params), stats, {"row": features}, train=train)[0]["row"]


@pytest.mark.slow
def test_the_teacher_of_a_separate_pass_has_the_averaged_parameters():
    view = SeparatePass(("weak", "strong"), "teacher")
    seen, net, state, _, batch = prepared(view)
    images = jnp.concatenate([batch.inputs["weak"], batch.inputs["strong"]])
    wanted = row_outputs(net, state.ema, state.batch_stats, images, train=True)
    np.testing.assert_allclose(seen.fixed_outputs[view_key(view)]["row"], wanted, rtol=1e-4)
    student = row_outputs(net, state.params, state.batch_stats, images, train=True)
    assert not np.allclose(student, wanted, rtol=1e-2)


def test_the_source_of_a_separate_pass_has_its_running_statistics():
    view = SeparatePass(("weak",), "source")
    seen, net, _, source, batch = prepared(
        view, initialization={"init_from": watching("weak").replace(name="start")}
    )
    weak = batch.inputs["weak"]
    wanted = row_outputs(net, source.params, source.batch_stats, weak, train=False)
    np.testing.assert_allclose(seen.fixed_outputs[view_key(view)]["row"], wanted, rtol=1e-4)
    of_the_batch = row_outputs(net, source.params, source.batch_stats, weak, train=True)
    assert not np.allclose(of_the_batch, wanted, rtol=1e-2)


@pytest.mark.slow
def test_an_adversary_is_found_with_the_statistics_of_the_batch():
    """As the pass that learns from it has those, and not the running ones."""
    view = AdversarialView(radius=0.5)
    seen, net, state, _, batch = prepared(view)
    ((name, _, found),) = seen.passes[1:]

    def moved(train):
        key = fold_in_name(jax.random.key(0), name)
        outputs_at = functools.partial(
            row_outputs, net, state.params, state.batch_stats, train=train
        )
        return vat_perturbation(view, key, batch.inputs, outputs_at)

    np.testing.assert_allclose(found, moved(train=True), atol=1e-4)
    assert not np.allclose(found, moved(train=False), atol=1e-2)


@pytest.mark.slow
def test_the_answer_does_not_depend_on_how_policies_are_dispatched():
    strong = augment.randaugment_fixmatch()
    run = watching("strong").replace(augmentation={"strong": strong})
    state, batch = begun(run)
    other = batch_of(run, state, "map")
    np.testing.assert_allclose(batch.inputs["strong"], other.inputs["strong"], atol=1e-6)


@pytest.mark.slow
def test_a_policy_learns_from_probes():
    """Bins that were probed move away from 1; those of a policy that does not learn are none."""
    run = watching("strong").replace(augmentation={"strong": augment.ctaugment_fixmatch(pixels=1)})
    before, after = stepped(run)
    was, now = (np.asarray(state.extensions["policy"].weights) for state in (before, after))
    changed = was != now
    assert 0 < changed.sum() <= 8 * 4, "eight probes of two operations of at most two parameters"
    assert (now[changed] < 1.0).all() and (now[changed] >= 0.99**32).all()
    assert stepped(watching("strong"))[1].extensions == {}
