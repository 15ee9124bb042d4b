"""Views in a step: which images go where, whose statistics are kept, what is differentiated."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, nets, optimizers
from mtl_jax.config.run import Run
from mtl_jax.core.head_specs import Head
from mtl_jax.core.model import Net, without_heads
from mtl_jax.core.views import Adversarial, Apart, Mixed, Rotated, name_of
from mtl_jax.runner.compiled_run import program
from mtl_jax.storage.run_data import prepare
from mtl_jax.train import net_of
from mtl_jax.train.batch import pick
from mtl_jax.train.inputs import look
from mtl_jax.train.objective import objective
from mtl_jax.train.state import trainable
from mtl_jax.train.view_requests import passes
from tests.small import COLUMN, ROW, RUN

ONE = jax.devices()[:1]
PLAIN = ("weak", "weak2", "medium", "labelled_strong", "strong", "strong2")


@dataclasses.dataclass(frozen=True)
class Watch:
    """A method that keeps what it sees: the mean squared output of every view, and of its head."""

    views: tuple[Any, ...]
    learn: tuple[Any, ...] = ()
    weight: float = 1.0

    def heads(self, num_classes):
        """One head of two outputs."""
        return {"own": Head(2, 1)}

    def init(self, sizes):
        """A number for each view."""
        names = ("labelled", *map(name_of, self.views))
        return {name: jnp.zeros((2,)) for name in names} | {"sizes": jnp.array(sizes[1:])}

    def update(self, views, state):
        """Keeps what is seen; learns from the views that it is told to."""
        kept = {
            name: jnp.stack([jnp.square(views.of(name, head)).mean() for head in (None, "own")])
            for name in state
            if name != "sizes"
        }
        loss = sum(jnp.square(views.of(v)).mean(-1).sum()[None] for v in self.learn)
        loss = loss if self.learn else jnp.zeros(1)
        return loss, {**kept, "sizes": state["sizes"]}, {}


def watching(*views, learn=(), **changes) -> Run:
    task = ROW.but(consistency=Watch(views, learn))
    return RUN.but(
        tasks=(task, COLUMN), trunk=nets.MLP((6,), batch_norm=True), medium=augment.Shift(1),
        strong=augment.Cutout(3), weak=augment.Shift(2), seeds=1, **changes,
    )  # fmt: skip


def batch_of(run, state, how):
    """The batch of the first step of one seed."""
    stream = jax.tree.map(jnp.asarray, prepare(run).given.streams[""])
    stream = stream._replace(known=jax.tree.map(lambda leaf: leaf[0], stream.known))
    choose = jax.jit(pick, static_argnames=("run", "how"))
    return choose(run, stream, state.key, state.step, state.augment, how)


def begun(run):
    """One seed's state before the first step, its data, and the batch of its first step."""
    prepared = prepare(run)
    made = program(run, prepared.given, ONE)
    state = jax.tree.map(lambda leaf: leaf[0], made.init(None))
    batch = batch_of(run, state, "vmap")
    return state, batch


def stepped(run):
    """State before and after the first step."""
    prepared = prepare(run)
    made = program(run, prepared.given, ONE)
    before = jax.device_get(made.init(None))
    return before, made.advance(made.init(None), made.given(prepared.given), 1)[0]


def test_every_plain_view_is_its_own_image():
    _, batch = begun(watching(*PLAIN))
    assert set(batch.images) == {"labelled", "weak", "weak2", "medium", "labelled_strong",
                                 "strong", "strong2"}  # fmt: skip
    sizes = {name: len(images) for name, images in batch.images.items()}
    assert sizes == {name: 8 if name.startswith("labelled") else 16 for name in batch.images}
    unlike = [v for name, v in batch.images.items() if not name.startswith("labelled")]
    assert len({np.asarray(v).tobytes() for v in unlike}) == 5, "drawn independently"
    assert (np.asarray(batch.images["strong"]) == 0.0).sum() >= 16 * 4, "cut out"


def test_what_nobody_asks_for_is_not_made():
    _, batch = begun(watching("strong"))
    assert list(batch.images) == ["labelled", "strong"]
    assert list(begun(RUN.but(seeds=1))[1].images) == ["labelled"]


def test_mixed_and_rotated_views():
    mix, turn = Mixed(("labelled", "weak"), alpha=0.5), Rotated("strong")
    _, batch = begun(watching(mix, turn))
    partner, ratio = batch.drawn[name_of(mix)]
    own = np.concatenate([batch.images["labelled"], batch.images["weak"]])
    r = np.asarray(ratio)[:, None, None, None]
    np.testing.assert_allclose(
        batch.images[name_of(mix)], r * own + (1 - r) * own[partner], atol=1e-6
    )
    assert sorted(np.asarray(partner)) == list(range(24)) and (np.asarray(ratio) >= 0.5).all()
    turns = np.asarray(batch.drawn[name_of(turn)])
    assert np.bincount(turns).tolist() == [4, 4, 4, 4]
    wanted = [np.rot90(image, k) for image, k in zip(batch.images["strong"], turns, strict=True)]
    np.testing.assert_array_equal(batch.images[name_of(turn)], wanted)


def test_cutmix_says_what_is_left():
    mix = Mixed(("weak", "strong"), alpha=1.0, kind="cutmix", own_first=False)
    _, batch = begun(watching(mix))
    partner, ratio = batch.drawn[name_of(mix)]
    own = np.concatenate([batch.images["weak"], batch.images["strong"]])
    same = (np.asarray(batch.images[name_of(mix)]) == own).all(-1).mean((1, 2))
    assert (same >= np.asarray(ratio) - 1e-6).all() and (np.asarray(ratio) < 1).any()
    assert np.asarray(partner).shape == (32,)


def test_labelled_images_stay_away_where_no_loss_wants_them():
    @dataclasses.dataclass(frozen=True)
    class Own(Watch):
        def supervised(self, views, loss, state):
            return jnp.zeros(())

    task = ROW.but(consistency=Own(("weak",)))
    assert passes([task]).together == ("weak",)
    assert passes([task, COLUMN]).together == ("labelled", "weak")


def outputs(net: Net, params, stats, images):
    """Mean squared outputs of both heads, and the statistics, of a pass in training."""
    features, moved = net.encode(without_heads(params), stats, images, train=True)
    logits = net.decode(params["tasks"]["heads"], {"row": features, "column": features})
    return [np.square(logits[name]).mean() for name in ("row", "row/own")], moved


def test_passes_of_their_own_leave_no_statistics():
    """One pass of all that is together; the others normalise by themselves and are forgotten."""
    alone = Apart(("weak", "labelled"))
    run = watching(
        "strong", alone, Apart(("weak2",), "frozen_student"), Apart(("weak",), "teacher")
    )
    before, after = stepped(run)
    start, batch = begun(run)
    net = net_of(run)
    both = jnp.concatenate([batch.images["labelled"], batch.images["strong"]])
    _, moved = outputs(net, start.params, start.stats, both)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-5), after.stats, moved)
    seen = after.consistency["row"]
    apart = jnp.concatenate([batch.images["weak"], batch.images["labelled"]])
    for name, images in ((name_of(alone), apart), (name_of(Apart(("weak2",), "frozen_student")),
                         batch.images["weak2"])):  # fmt: skip
        found, _ = outputs(net, start.params, start.stats, images)
        np.testing.assert_allclose(seen[name][0], found, rtol=1e-4)
    assert before.params["tasks"]["heads"].keys() == {"row", "column", "row/own"}


def test_the_teacher_is_the_average():
    teacher = Apart(("weak",), "teacher")
    run = watching("weak", teacher, optimizer=optimizers.SGD(0.5), ema=1.0)
    prepared = prepare(run)
    made = program(run, prepared.given, ONE)
    state, _ = made.advance(made.init(None), made.given(prepared.given), 3)
    # EMA's first steps follow the parameters: so the teacher is late, not the same.
    seen = state.consistency["row"]
    assert not np.allclose(seen["weak"], seen[name_of(teacher)], rtol=1e-2)


@pytest.mark.parametrize(
    ("view", "learns"),
    [("strong", True), (Apart(("strong",)), True), (Apart(("strong",), "frozen_student"), False),
     (Apart(("strong",), "teacher"), False), (Adversarial(radius=0.5), True)],
    ids=str,
)  # fmt: skip
def test_who_learns(view, learns):
    """The gradient of the trunk from a loss on one view alone."""
    run = watching(view, learn=(view,))
    state, batch = begun(run)
    kept, frozen = trainable(run, state.params)

    @jax.jit
    def slope(kept):
        def total(kept, weight):
            made = objective(run, net_of(run), state, frozen, {"": batch}, jax.random.key(0))
            row, column = made.losses(kept)
            return row * weight[0] + column * weight[1]

        plain = watching(view)

        def without(kept):
            made = objective(plain, net_of(plain), state, frozen, {"": batch}, jax.random.key(0))
            return made.losses(kept)[0]

        one = jax.grad(total)(kept, jnp.array([1.0, 0.0]))
        return jax.tree.map(jnp.subtract, one, jax.grad(without)(kept))

    found = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(slope(kept)["shared"]))
    assert (found > 1e-4) == learns


def test_an_adversary_is_worse_than_chance_and_each_task_has_its_own():
    """Moved by its own adversary, a task's outputs change more than by the other's."""
    view = Adversarial("labelled", radius=0.5)
    tasks = tuple(t.but(consistency=Watch((view,))) for t in (ROW, COLUMN))
    run = watching(view).but(tasks=tasks)
    state, batch = begun(run)
    sight = look(run, net_of(run), state, batch, jax.random.key(0))
    moved = {name.rpartition("/")[2]: images for name, _, images in sight.passes[1:]}
    own = np.asarray(batch.images["labelled"])
    lengths = [np.sqrt(np.square(np.asarray(m) - own).sum((1, 2, 3))) for m in moved.values()]
    np.testing.assert_allclose(lengths, 0.5, rtol=1e-4)
    net = net_of(run)

    def change(images):
        after, _ = net.encode(without_heads(state.params), state.stats, images, train=True)
        before, _ = net.encode(
            without_heads(state.params), state.stats, batch.images["labelled"], train=True
        )
        heads = state.params["tasks"]["heads"]
        p, q = (jax.nn.softmax(net.decode(heads, {"row": f})["row"]) for f in (before, after))
        return float((p * (jnp.log(p) - jnp.log(q))).sum())

    noise = np.random.default_rng(0).normal(size=(20, *own.shape)).astype(np.float32)
    noise *= 0.5 / np.sqrt(np.square(noise).sum((2, 3, 4), keepdims=True))
    chance = max(change(own + each) for each in noise)
    assert change(moved["row"]) > max(chance, change(moved["column"]))


def test_the_answer_does_not_depend_on_how_policies_are_dispatched():
    strong = augment.randaugment_fixmatch()
    run = watching("strong").but(strong=strong)
    state, batch = begun(run)
    other = batch_of(run, state, "map")
    np.testing.assert_allclose(batch.images["strong"], other.images["strong"], atol=1e-6)


def test_a_policy_learns_from_probes():
    """Bins that were probed move away from 1; those of a policy that does not learn are none."""
    run = watching("strong").but(strong=augment.ctaugment_fixmatch(pixels=1))
    before, after = stepped(run)
    was, now = np.asarray(before.augment.weights), np.asarray(after.augment.weights)
    changed = was != now
    assert 0 < changed.sum() <= 8 * 4, "eight probes of two operations of at most two parameters"
    assert (now[changed] < 1.0).all() and (now[changed] >= 0.99**32).all()
    assert stepped(watching("strong"))[1].augment == ()
