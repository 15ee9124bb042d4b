"""Evaluation counts what has a label, and depends on nothing else than the model and the split."""

import importlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import f1_score

from mtl_jax import losses, metrics, nets
from mtl_jax.config.task import Task
from mtl_jax.core.metric import Metric
from mtl_jax.metrics import predictions
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model
from tests.small import HEIGHT, ROW, RUN

# In the package this is the name of a function.
evaluation = importlib.import_module("mtl_jax.train.evaluate")

RANDOM = np.random.default_rng(0)
NORMED = RUN.replace(trunk=nets.MLP((12,), batch_norm=True), tasks=(ROW, HEIGHT), num_seeds=1)


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
    return {"inputs": image, "kind": kinds, "marks": marks}


WEIGHTS = {
    name: RANDOM.normal(size=(3, n)).astype(np.float32) for name, n in (("kind", 3), ("marks", 2))
}
TASKS = (
    Task(name="kind", num_outputs=3, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)),
    Task(name="marks", num_outputs=2, loss=losses.binary_cross_entropy, metrics=(metrics.F1(),)),
)


def scored(data, tasks=TASKS):
    """Each task's value, by a linear net."""
    found = jax.jit(lambda a: evaluation.evaluate_split(linear(**WEIGHTS), tasks, None, None, a))(
        data
    ).metrics
    return {name: float(value) for name, by in found.items() for value in by.values()}


def test_what_has_a_label_is_counted_and_nothing_else():
    data = arrays()
    found = scored(data)
    labelled = data["kind"] >= 0
    said = (data["inputs"] @ WEIGHTS["kind"]).argmax(1)
    np.testing.assert_allclose(found["kind"], (said == data["kind"])[labelled].mean(), rtol=1e-6)
    yes, known = data["inputs"] @ WEIGHTS["marks"] > 0, ~np.isnan(data["marks"])
    each = [f1_score(data["marks"][k, d], yes[k, d]) for d, k in enumerate(known.T)]
    np.testing.assert_allclose(found["marks"], np.mean(each), rtol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 7, 22, 23, 500])
def test_the_size_of_a_chunk_does_not_matter(monkeypatch, chunk):
    """Chunks of 5, 7 and 22 are filled up, and what fills them would be hits of class 0."""
    data = arrays()
    whole = scored(data)
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", chunk)
    assert scored(data) == pytest.approx(whole, rel=1e-6)


METRICS = [
    metrics.BalancedAccuracy(), metrics.BrierScore(), metrics.ExpectedCalibrationError(),
    metrics.FrequencyWeightedIoU(), metrics.MacroF1(), metrics.MeanIoU(),
    metrics.NegativeLogLikelihood(), metrics.TopKAccuracy(2), metrics.AbsoluteRelativeError(),
    metrics.AngleWithin(60.0), metrics.MeanAbsoluteError(), metrics.MeanAngle(), metrics.R2(),
    metrics.RootMeanSquaredError(),
]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_sums_of_chunks_are_the_metric_of_all(monkeypatch, metric):
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 5)
    data, classes = arrays(), "multiclass" in metric.target_types
    task = TASKS[0] if classes else TASKS[1].replace(loss=losses.squared_error, metrics=(metric,))
    outputs, labels = data["inputs"] @ WEIGHTS[task.name], jnp.asarray(data[task.name])
    mask = labels >= 0 if classes else jnp.ones(len(labels), bool)
    wanted = metric.compute(metric.from_model_output(jnp.asarray(outputs), labels, mask))
    assert jnp.isfinite(wanted)
    found = scored(data, (task.replace(metrics=(metric,)),))[task.name]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 5, 6, 23])
def test_no_more_than_a_chunk_goes_through_the_net_at_once(monkeypatch, size):
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 5)
    data, net, seen = arrays(size), linear(**WEIGHTS), []

    def watched(params, stats, images, train):
        seen.append(images.shape)
        return net.apply(params, stats, images, train)

    watching = types.SimpleNamespace(apply=watched)
    jax.eval_shape(lambda a: evaluation.evaluate_split(watching, TASKS, None, None, a), data)
    outputs = evaluation.predict_chunked(watching, None, None, jnp.asarray(data["inputs"]))
    chunks = {1: 1, 5: 5, 6: 3, 23: 5}  # by hand: as few as can be, of one size.
    assert set(seen) == {(chunks[size], 3)}
    for name, found in outputs.items():
        np.testing.assert_allclose(found, data["inputs"] @ WEIGHTS[name], rtol=1e-5, atol=1e-6)


# An example has six numbers; of at most five examples, six are two chunks of three.
@pytest.mark.parametrize(("numbers", "chunk"), [(1, 1), (11, 1), (12, 2), (17, 2), (90, 3)])
def test_chunks_of_large_examples_are_small(monkeypatch, numbers, chunk):
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 5)
    monkeypatch.setattr(evaluation, "MAX_NUMBERS", numbers)
    parts = evaluation.to_chunks((jnp.ones((6, 2, 2)), jnp.ones((6, 2))), 6)
    assert {part.shape[1] for part in parts} == {chunk}
    whole, _ = evaluation.without_padding(parts, 6)
    np.testing.assert_array_equal(whole, np.ones((6, 2, 2)))


def test_the_order_does_not_matter_and_unlabelled_examples_change_nothing():
    data = arrays()
    turned = {name: array[::-1] for name, array in data.items()}
    assert scored(turned) == pytest.approx(scored(data), rel=1e-6)
    missing = {
        "inputs": data["inputs"] * 5.0,
        "kind": 0 * data["kind"] - 1,
        "marks": data["marks"] * np.nan,
    }
    more = {name: np.concatenate([data[name], missing[name]]) for name in data}
    assert scored(more) == pytest.approx(scored(data), rel=1e-6)


def test_a_task_without_a_label_has_no_value():
    data = arrays()
    data |= {"kind": 0 * data["kind"] - 1, "marks": data["marks"] * np.nan}
    assert all(np.isnan(value) for value in scored(data).values())


class Whole(Metric):
    """A metric of a user's own that says nothing of targets: it counts examples."""

    name, scale, higher_is_better = "own", 1.0, True

    def from_model_output(self, logits, labels, mask):
        gaps = jnp.isnan(labels).any(1) & mask
        return predictions.MeanState(gaps.sum(), mask.sum())

    def compute(self, sums):
        return sums.count + 100 * sums.total


def test_an_own_metric_sees_complete_vectors_only():
    data = arrays()
    data["marks"][1] = 1.0
    found = scored(data, (TASKS[1].replace(metrics=(Whole(),)),))
    assert found["marks"] == (~np.isnan(data["marks"]).any(1)).sum()


@pytest.fixture(scope="module")
def trained():
    """Statistics and parameters of a few steps with BatchNorm, and the data."""
    prepared = load_run_data(NORMED)
    made = compile_run(NORMED, prepared.train, jax.devices()[:1])
    state, _ = made.train_steps(made.init(None), made.put_data(prepared.train), 4)
    state = jax.tree.map(
        lambda leaf: leaf[0], jax.device_get((state.params, state.ema, state.batch_stats))
    )
    return state, prepared.splits


def judged(trained, **changes):
    """Values of both models on every split."""
    (params, ema, stats), splits = trained
    model = build_model(NORMED)
    both = [
        evaluation.evaluate(model, NORMED.tasks, each, stats, {**splits, **changes})
        for each in (params, ema)
    ]
    assert not any(jax.tree.leaves(jax.device_get([found.nonfinite for found in both])))
    return jax.device_get([found.metrics for found in both])


def test_a_split_is_judged_by_itself(trained):
    _, splits = trained
    whole = judged(trained)
    (stream,) = splits["test"]
    other = {stream: {n: a[:7] for n, a in splits["test"][stream].items()}}
    alone = judged(trained, test=other)
    for own, found in zip(alone, whole, strict=True):
        jax.tree.map(np.testing.assert_array_equal, own["validation"], found["validation"])
        assert own["test"] != found["test"]
    assert whole[0]["validation"] != whole[1]["validation"]


def test_an_image_is_judged_apart_from_the_rest_of_its_batch(trained):
    (params, _, stats), splits = trained
    (stream,) = splits["test"]
    images = splits["test"][stream]["inputs"]
    outputs = jax.jit(lambda x: evaluation.predict_chunked(build_model(NORMED), params, stats, x))
    whole, few = outputs(images), outputs(np.concatenate([images[:3], 9.0 * images[3:9]]))
    for name, found in whole.items():
        np.testing.assert_allclose(few[name][:3], found[:3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", [metrics.Accuracy(), metrics.MacroF1()], ids=lambda m: m.name)
def test_metrics_are_the_same_bits_however_seeds_are_looped(metric):
    """XLA would multiply by the reciprocal of a count that all seeds share."""
    images = RANDOM.normal(size=(60, 3)).astype(np.float32)
    own = {"inputs": images, "row": RANDOM.integers(0, 3, 60)}
    weights = jnp.asarray(RANDOM.normal(size=(40, 3, 3)), jnp.float32)
    task = Task(name="row", num_outputs=3, loss=losses.cross_entropy, metrics=(metric,))

    def value(weight, own):
        found = evaluation.evaluate_split(linear(row=weight), (task,), {}, {}, own)
        return found.metrics["row"][metric.name]

    together = jax.jit(jax.vmap(value, (0, None)))(weights, own)
    alone = jax.jit(value)
    assert together.tolist() == [float(alone(weight, own)) for weight in weights]
