"""Evaluation counts what has a label, and depends on nothing else than the model and the split."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import f1_score

from mtl_jax import losses, metrics, nets
from mtl_jax.config.run import Task
from mtl_jax.runner.compiled_run import program
from mtl_jax.storage.run_data import prepare
from mtl_jax.train import evaluate, net_of
from tests.small import HEIGHT, ROW, RUN

RANDOM = np.random.default_rng(0)
NORMED = RUN.but(trunk=nets.MLP((12,), batch_norm=True), tasks=(ROW, HEIGHT), seeds=1)


def linear(**weights):
    """A net whose outputs are `x W`, by task."""

    def apply(params, stats, images, train):
        assert not train
        found = {name: images @ weight for name, weight in weights.items()}
        return types.SimpleNamespace(logits=found, features=None), stats

    return types.SimpleNamespace(apply=apply)


def arrays(size=23):
    """Images `[N, 3]` and a label of each kind; some are missing."""
    image = RANDOM.normal(size=(size, 3)).astype(np.float32)
    gone = RANDOM.random((size, 2)) < 0.4
    marks = np.where(gone, np.nan, RANDOM.integers(0, 2, (size, 2))).astype(np.float32)
    marks[0] = np.nan
    kinds = np.where(np.arange(size) % 3, RANDOM.integers(0, 3, size), -1).astype(np.int32)
    return {"image": image, "kind": kinds, "marks": marks}


WEIGHTS = {
    name: RANDOM.normal(size=(3, n)).astype(np.float32) for name, n in (("kind", 3), ("marks", 2))
}
TASKS = (
    Task(name="kind", outputs=3, loss=losses.cross_entropy, metric=metrics.Accuracy()),
    Task(name="marks", outputs=2, loss=losses.binary_cross_entropy, metric=metrics.F1()),
)


def scored(data, tasks=TASKS):
    """Each task's value, by a linear net."""
    found, _ = jax.jit(lambda a: evaluate.scores(linear(**WEIGHTS), tasks, None, None, a))(data)
    return {name: float(value) for name, by in found.items() for value in by.values()}


def test_what_has_a_label_is_counted_and_nothing_else():
    data = arrays()
    found = scored(data)
    labelled = data["kind"] >= 0
    said = (data["image"] @ WEIGHTS["kind"]).argmax(1)
    np.testing.assert_allclose(found["kind"], (said == data["kind"])[labelled].mean(), rtol=1e-6)
    yes, known = data["image"] @ WEIGHTS["marks"] > 0, ~np.isnan(data["marks"])
    each = [f1_score(data["marks"][k, d], yes[k, d]) for d, k in enumerate(known.T)]
    np.testing.assert_allclose(found["marks"], np.mean(each), rtol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 7, 22, 23, 500])
def test_the_size_of_a_chunk_does_not_matter(monkeypatch, chunk):
    """Chunks of 5, 7 and 22 are filled up, and what fills them would be hits of class 0."""
    data = arrays()
    whole = scored(data)
    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    assert scored(data) == pytest.approx(whole, rel=1e-6)


def test_the_order_does_not_matter_and_unlabelled_examples_change_nothing():
    data = arrays()
    turned = {name: array[::-1] for name, array in data.items()}
    assert scored(turned) == pytest.approx(scored(data), rel=1e-6)
    missing = {
        "image": data["image"] * 5.0,
        "kind": 0 * data["kind"] - 1,
        "marks": data["marks"] * np.nan,
    }
    more = {name: np.concatenate([data[name], missing[name]]) for name in data}
    assert scored(more) == pytest.approx(scored(data), rel=1e-6)


def test_a_task_without_a_label_has_no_value():
    data = arrays()
    data |= {"kind": 0 * data["kind"] - 1, "marks": data["marks"] * np.nan}
    assert all(np.isnan(value) for value in scored(data).values())


class Whole:
    """A metric of a user's own that says nothing of targets: it counts examples."""

    name, scale, higher_is_better = "own", 1.0, True

    def sums(self, logits, labels, mask):
        gaps = jnp.isnan(labels).any(1) & mask
        return metrics.Sums(gaps.sum(), mask.sum())

    def compute(self, sums):
        return sums.count + 100 * sums.total


def test_an_own_metric_sees_complete_vectors_only():
    data = arrays()
    data["marks"][1] = 1.0
    found = scored(data, (TASKS[1].but(metric=Whole()),))
    assert found["marks"] == (~np.isnan(data["marks"]).any(1)).sum()


@pytest.fixture(scope="module")
def trained():
    """Statistics and parameters of a few steps with BatchNorm, and the data."""
    prepared = prepare(NORMED)
    made = program(NORMED, prepared.given, jax.devices()[:1])
    state, _ = made.advance(made.init(None), made.given(prepared.given), 4)
    state = jax.tree.map(
        lambda leaf: leaf[0], jax.device_get((state.params, state.ema, state.stats))
    )
    return state, prepared.splits


def judged(trained, **changes):
    """Values of both models on every split."""
    (params, ema, stats), splits = trained
    metrics, counts = evaluate.judge(
        net_of(NORMED), NORMED.tasks, {"raw": params, "ema": ema}, stats, {**splits, **changes}
    )
    assert not any(jax.tree.leaves(jax.device_get(counts)))
    return jax.device_get(metrics)


def test_a_split_is_judged_by_itself(trained):
    _, splits = trained
    whole = judged(trained)
    (stream,) = splits["test"]
    other = {stream: {n: a[:7] for n, a in splits["test"][stream].items()}}
    alone = judged(trained, test=other)
    jax.tree.map(np.testing.assert_array_equal, alone["validation"], whole["validation"])
    assert whole["validation"]["raw"] != whole["validation"]["ema"]


def test_an_image_is_judged_apart_from_the_rest_of_its_batch(trained):
    (params, _, stats), splits = trained
    (stream,) = splits["test"]
    images = splits["test"][stream]["image"]
    outputs = jax.jit(lambda x: evaluate.outputs_for(net_of(NORMED), params, stats, x))
    whole, few = outputs(images), outputs(np.concatenate([images[:3], 9.0 * images[3:9]]))
    for name, found in whole.items():
        np.testing.assert_allclose(few[name][:3], found[:3], rtol=1e-5, atol=1e-6)
