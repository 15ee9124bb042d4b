"""What a step draws: whose labels and masks, held-out examples, and draws tied to no other's."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, data
from mtl_jax.aggregation.balance import TaskPullback
from mtl_jax.core.base_views import BASE_VIEWS
from mtl_jax.core.policy import Policy
from mtl_jax.core.step_types import stream_key
from mtl_jax.core.views import MixedView, RotatedView, view_key
from mtl_jax.data import Input, MultiInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import batch
from mtl_jax.train.batch import sample_batch, sample_heldout_batch
from mtl_jax.train.updates import heldout_loss_fn
from mtl_jax.train.view_requests import group_requests
from mtl_jax.train.views import Sampler
from tests.small import COLUMN, DATA, HEIGHT, ROW, RUN, UNLABELLED
from tests.train.test_views import watching

ONE = jax.devices()[:1]


@dataclasses.dataclass(frozen=True)
class Noise(Policy):
    """A policy that puts out nothing but what it draws."""

    def __call__(self, key, image):
        """Numbers in the place of an image."""
        return jax.random.uniform(key, image.shape)


def numbered(count: int, seed: int) -> dict[str, np.ndarray]:
    """Examples whose first pixel tells which they are, and labels of which some are missing."""
    rng = np.random.default_rng(seed)
    image = np.zeros((count, 6, 6, 1), np.float32)
    image[:, 0, 0, 0] = np.arange(count) / count
    row, column = rng.integers(0, 3, (2, count)).astype(np.int32)
    row[::5], column[3::4] = -1, -1
    height = np.where(np.arange(count) % 3, rng.random(count), np.nan).astype(np.float32)
    return {"inputs": image, "row": row, "column": column, "height": height}


PARTS = [numbered(96, 0), numbered(20, 1), numbered(20, 2)]
MISSING = RUN.replace(
    data=data.Arrays(*PARTS),
    tasks=(ROW, COLUMN, HEIGHT),
    augmentation={"strong": None},
    labels={"num_labelled": 40},
    batch_size=16,
)


def whole(run, stream, key, step, loop="vmap"):
    """The batch of all views that the tasks of a stream ask for."""
    requests = group_requests([task for task in run.tasks if task.name in stream.labels])
    return sample_batch(Sampler(run, loop, ()), stream, requests, key, step)


def drawn(run, step=0, choose=whole, **loop):
    """The batch of a step of the first seed, of each stream."""
    seed = jax.random.key(run.first_seed)
    chosen = jax.jit(choose, static_argnames=("run", *loop))
    batches = {}
    for name, stream in load_run_data(run).train.streams.items():
        known, held = jax.tree.map(lambda leaf: leaf[0], (stream.labelled, stream.held_out))
        stream = jax.tree.map(jnp.asarray, stream._replace(labelled=known, held_out=held))
        key = stream_key(seed, name)
        batches[name] = jax.device_get(chosen(run, stream, key, jnp.int32(step), **loop))
    return batches


def who(images):
    """Which examples these are, by their first pixels."""
    return np.rint(images[:, 0, 0, 0] * 96).astype(int)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("step", [0, 3])
def test_labels_and_masks_are_those_of_the_example(partial, step):
    run = MISSING.replace(labels={"partial": partial})
    found = drawn(run, step)[""]
    known = load_run_data(run).train.streams[""].labelled
    rows = who(found.inputs["labelled"])
    assert len(set(rows)) == 16 and set(rows) <= set(known.index[0])
    for name in ("row", "column", "height"):
        given = PARTS[0][name]
        told = dict(zip(known.index[0].tolist(), known.mask[name][0].tolist(), strict=True))
        np.testing.assert_array_equal(found.labels[name], given[rows])
        np.testing.assert_array_equal(found.mask[name], [told[row] for row in rows])
        there = given[rows] >= 0  # False of NaN.
        assert (found.mask[name] <= there).all() and (partial or (found.mask[name] == there).all())
        assert 0 < found.mask[name].sum() < 16
    np.testing.assert_array_equal(known.index[0][found.labelled_index], rows)


def test_held_out_batches_have_held_out_examples_with_their_own_labels():
    run = MISSING.replace(balance=aggregation.MOML(held_out=0.4), batch_size=8)
    stream = load_run_data(run).train.streams[""]
    assert not set(stream.held_out.index[0]) & set(stream.labelled.index[0])
    seen = set()
    for step in range(4):
        held, own = (drawn(run, step, choose)[""] for choose in (sample_heldout_batch, whole))
        rows = who(held.inputs["labelled"])
        assert set(rows) <= set(stream.held_out.index[0])
        assert set(who(own.inputs["labelled"])) <= set(stream.labelled.index[0])
        for name in ("row", "column", "height"):
            np.testing.assert_array_equal(held.labels[name], PARTS[0][name][rows])
            there = PARTS[0][name][rows] >= 0
            np.testing.assert_array_equal(held.mask[name], there)
        assert not (held.labelled_index == own.labelled_index).all()
        seen |= set(rows)
    assert seen == set(stream.held_out.index[0])  # by hand: 4 steps of 8 are two epochs of 16.


def test_a_bilevel_method_looks_ahead_downhill():
    gradients = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)  # Of two tasks.
    pullback = TaskPullback(lambda weights: weights @ gradients, None)
    outer = heldout_loss_fn(pullback, jnp.array([3.0, 5.0]), lambda p: jnp.square(p), 0.1)
    found = outer(jnp.array([1.0, 0.5]))
    np.testing.assert_allclose(found, [2.9**2, 4.9**2], rtol=1e-6)  # by hand.


RUNS = [
    MISSING,
    MISSING.replace(labels={"partial": True}),
    UNLABELLED.replace(labels={"partial": True}),
    RUN.replace(balance=aggregation.AutoLambda(held_out=0.25), labels={"partial": True}),
]


def params_after(run, change, steps=3):
    """What a run is after some steps on its data with its labels changed below the masks."""
    prepared = load_run_data(run)
    streams = {}
    for name, stream in prepared.train.streams.items():
        labels = {}
        for task, values in stream.labels.items():
            free = np.ones(len(values), bool)
            for known in (
                stream.labelled,
                *(() if stream.held_out is None else (stream.held_out,)),
            ):
                for index, mask in zip(known.index, known.mask[task], strict=True):
                    free[index[mask]] = False
            labels[task] = change(values, free)
        streams[name] = stream._replace(labels=labels)
    given = prepared.train._replace(streams=streams)
    made = compile_run(run, jax.eval_shape(lambda: given), ONE)
    state, metrics = made.train_steps(made.init(None), made.put_data(given), steps)
    return jax.device_get((state._replace(key=0), metrics))


def turned(values, free):
    """Other labels where none is known."""
    other = (values + 1) % 3 if values.dtype.kind == "i" else np.float32(0.25) - values
    assert free.any()
    return np.where(free, np.where(np.isnan(other), 7, other), values).astype(values.dtype)


@pytest.mark.parametrize("run", RUNS, ids=range(len(RUNS)))
def test_a_label_that_is_not_known_changes_nothing(run):
    one = params_after(run, lambda values, free: values)
    other = params_after(run, turned)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    # And one that is known does: the comparison sees labels.
    all_turned = params_after(run, lambda values, free: turned(values, np.ones_like(free)))
    assert any(
        (a != b).any()
        for a, b in zip(jax.tree.leaves(one[0].params), jax.tree.leaves(all_turned[0].params),
                        strict=True)
    )  # fmt: skip


MIXED = (
    MixedView(("strong",)),
    MixedView(("weak",)),
    MixedView(("weak", "strong"), kind="cutmix"),
)
TURNED = (RotatedView("strong"), RotatedView("weak"))


def noisy(*made, **changes):
    """A run that sees every plain view, each what its policy draws, and those made of them."""
    run = watching(*(view for view in BASE_VIEWS if view != "labelled"), *made)
    return run.replace(
        augmentation={"weak": Noise(), "medium": Noise(), "strong": Noise()}, **changes
    )


def apart(*draws):
    """Requires that no two arrays of draws share a number."""
    for one, other in itertools.combinations(draws, 2):
        assert not np.isin(one, other).any()


def test_every_view_of_every_example_is_drawn_on_its_own():
    first, second = (drawn(noisy(), step)[""].inputs for step in (0, 1))
    views = [image for images in (first, second) for name in BASE_VIEWS for image in images[name]]
    assert len(views) == 2 * (2 * 8 + 5 * 16)  # by hand: two labelled views of 8, five of 16.
    everything = np.concatenate([view.reshape(-1) for view in views])
    # Of 2^23 numbers some fall together by chance; a shared key would tie at least 36.
    assert len(np.unique(everything)) > len(everything) - 18
    lines = np.stack([view.reshape(-1) for view in views])
    assert len(np.unique(lines, axis=0)) == len(lines)


def test_what_mixes_and_turns_has_keys_of_its_own(monkeypatch):
    def told(view, key, images):
        return images["strong"], jax.random.key_data(key)

    monkeypatch.setattr(batch, "mix_views", told)
    monkeypatch.setattr(batch, "rotate_view", told)
    run = noisy(*TURNED, *MIXED)
    keys = [
        drawn(run, step)[""].view_params[view_key(view)]
        for step in (0, 1)
        for view in (*TURNED, *MIXED)
    ]
    assert len({key.tobytes() for key in keys}) == len(keys) == 10


def test_labelled_and_unlabelled_examples_come_in_orders_of_their_own():
    """Of pools of one size and batches of one size: a shared key would draw the same places."""
    run = UNLABELLED.replace(
        labels={"num_labelled": None, "unlabelled_ratio": 1},
        batch_size=96,
        augmentation={"strong": Noise()},
    )
    found = drawn(run)[""]
    assert sorted(found.labelled_index) == sorted(found.unlabelled_index) == list(range(96))
    assert (found.labelled_index != found.unlabelled_index).mean() > 0.9
    later = drawn(run, 1)[""]
    assert (
        (found.labelled_index != later.labelled_index).mean()
        > 0.9
        < (found.unlabelled_index != later.unlabelled_index).mean()
    )


def test_streams_and_seeds_draw_on_their_own():
    source = MultiInput((Input("row", DATA, "row"), Input("column", DATA, "row")))
    run = RUN.replace(
        data=source, labels={"num_labelled": None}, augmentation={"weak": Noise()}, batch_size=48
    )
    streams = drawn(run)
    other = drawn(run.replace(first_seed=1))
    batches = [*streams.values(), *other.values()]
    apart(*(each.inputs["labelled"][:, 0, 0, 0] for each in batches))
    for one, two in itertools.combinations(batches, 2):
        assert (one.labelled_index != two.labelled_index).mean() > 0.9


def test_every_image_of_every_view_has_a_key_of_its_own():
    keys = []

    @dataclasses.dataclass(frozen=True)
    class Told(Policy):
        """A policy that tells its keys."""

        def __call__(self, key, image):
            """The image as it is."""
            jax.debug.callback(lambda bits: keys.append(bits.tobytes()), jax.random.key_data(key))
            return image

    for step in range(2):
        drawn(UNLABELLED.replace(augmentation={"weak": Told(), "strong": Told()}), step, loop="map")
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 2 * (8 + 16 + 16)  # by hand: labelled, weak, strong.
