"""Losses and metrics of maps against reference values, and their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import losses, metrics
from mtl_jax.consistency import UniMatch
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.views import view_key
from mtl_jax.losses.masked import masked_mean
from tests.consistency.seen import seen
from tests.golden.reading import read

IGNORE = 255
STREAMS = {"strong1": "s1", "strong2": "s2", "weak_dropout": "fp"}  # Of UniMatch.


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def cases(golden_dir):
    """The cases of all files of this format, with arrays for lists and references resolved."""
    found = {}
    for file in read(golden_dir).values():
        if "cases" in file:
            found |= {name: resolve(case, file["cases"]) for name, case in file["cases"].items()}
    if not found:
        pytest.skip(f"no reference values of maps in {golden_dir}")
    return found


def resolve(value, whole):
    """Follows `@case/key/...`, and makes arrays of lists of numbers."""
    if isinstance(value, str) and value.startswith("@"):
        for key in value[1:].split("/"):
            whole = whole[key]
        return resolve(whole, whole)
    if isinstance(value, dict):
        return {name: resolve(each, whole) for name, each in value.items()}
    return np.array(value) if isinstance(value, list) and None not in value else value


def close(value, expected, **options):
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9, **options)


def known(labels):
    """Labels with -1 for those to ignore."""
    return jnp.array(np.where(labels == IGNORE, -1, labels))


def mean(loss, outputs, labels):
    """The mean over all known entries, and its gradient."""
    everything = jnp.ones(len(outputs), bool)
    value = functools.partial(masked_mean, loss, labels=jnp.array(labels), mask=everything)
    return jax.value_and_grad(lambda outputs: value(outputs=outputs))(jnp.array(outputs))


def test_cross_entropy_of_pixels(cases):
    case = cases["segmentation_ce"]
    expected, labels = case["expected"], known(case["inputs"]["labels"])
    logits = case["inputs"]["logits"]
    value, grad = mean(losses.cross_entropy, logits, labels)
    close(value, expected["loss"])
    close(grad, expected["grad_logits"])
    pixels = losses.cross_entropy(jnp.array(logits), labels)
    close(jnp.where(labels < 0, 0, pixels), expected["loss_per_pixel"])
    weights = case["params"]["class_weights"]
    weighted = losses.cross_entropy(jnp.array(logits), labels, class_weights=tuple(weights))
    total = np.array(weights)[np.array(labels[labels >= 0])].sum()
    close(jnp.where(labels < 0, 0, weighted).sum() / total, expected["loss_weighted"])


def test_depth(cases):
    case = cases["depth_l1"]
    prediction, target = case["inputs"]["prediction"], case["inputs"]["target"]
    labels, expected = np.where(target == 0, np.nan, target), case["expected"]
    value, grad = mean(losses.absolute_error, prediction, labels)
    close(value, expected["loss"])
    close(grad, expected["grad"])
    close(score(metrics.MeanAbsoluteError(), prediction, labels), expected["abs_err"])
    close(score(metrics.AbsoluteRelativeError(), prediction, labels), expected["rel_err"])
    close(score(metrics.AbsoluteRelativeError(), prediction, target), expected["rel_err"])


def score(metric, outputs, labels):
    """A metric of one example after the other."""
    sums = [
        metric.from_model_output(jnp.array([each]), jnp.array([label]), jnp.ones(1, bool))
        for each, label in zip(outputs, labels, strict=True)
    ]
    return metric.compute(jax.tree.map(lambda *each: sum(each), *sums))


def test_normals(cases):
    case = cases["surface_normals"]
    prediction, target = case["inputs"]["prediction"], case["inputs"]["target"]
    labels = np.where((target != 0).any(-1, keepdims=True), target, np.nan)
    missing = jnp.array(np.isnan(labels).any(-1))

    def loss(prediction):
        distance = losses.cosine_distance(prediction, jnp.array(target))
        return jnp.where(missing, 0.0, distance).sum() / (~missing).sum(dtype=float)

    value, grad = jax.value_and_grad(loss)(jnp.array(prediction))
    close(value, case["expected"]["loss"])
    close(grad, case["expected"]["grad"])
    close(score(metrics.MeanAngle(), prediction, labels), case["expected"]["mean"])
    close(metrics.MedianAngle().compute(prediction, labels), case["expected"]["median"])
    for degrees in (11.25, 22.5, 30):
        within = score(metrics.AngleWithin(degrees), prediction, target)
        close(within, case["expected"][f"within_{degrees:g}"])


@pytest.mark.parametrize("name", ["miou", "miou_absent_class"])
def test_iou(name, cases):
    case = cases[name]
    logits = np.eye(case["params"]["num_classes"])[case["inputs"]["prediction"]]
    labels, expected = known(case["inputs"]["target"]), case["expected"]
    sums = metrics.MeanIoU().from_model_output(jnp.array(logits), labels, jnp.ones(3, bool))
    np.testing.assert_array_equal(sums, expected["confusion"])
    close(score(metrics.MeanIoU(), logits, labels), expected["miou_present"])
    close(score(metrics.Accuracy(), logits, labels), expected["pixel_accuracy"])
    close(score(metrics.BalancedAccuracy(), logits, labels), expected["per_class_accuracy_mean"])


@pytest.mark.parametrize("name", ["0.25_2.0", "0.6_1.5", "-1_2.0"])
def test_sigmoid_focal_loss(name, cases):
    case = cases[f"sigmoid_focal_{name}"]
    params = {key: case["params"][key] for key in ("alpha", "gamma")}
    labels = jnp.array(case["inputs"]["labels"])[..., None]

    def entries(logits):
        return losses.sigmoid_focal_loss(logits[..., None], labels, **params)

    logits = jnp.array(case["inputs"]["logits"])
    close(entries(logits), case["expected"]["loss"])
    grad = jax.grad(lambda logits: entries(logits).sum())(logits)
    close(grad, case["expected"]["grad_of_sum"])


def test_softmax_focal_loss(cases):
    case = cases["softmax_focal"]
    loss = functools.partial(losses.softmax_focal_loss, gamma=case["params"]["gamma"])
    logits, labels = jnp.array(case["inputs"]["logits"]), jnp.array(case["inputs"]["labels"])
    close(loss(logits, labels), case["expected"]["loss"])
    value, grad = jax.value_and_grad(lambda logits: loss(logits, labels).mean())(logits)
    close(value, case["expected"]["mean"])
    close(grad, case["expected"]["grad_of_mean"])


def test_dice(cases):
    case = cases["dice"]
    logits, labels = jnp.array(case["inputs"]["logits"]), known(case["inputs"]["labels"])
    smooth, expected = case["params"]["smooth"], case["expected"]
    close(losses.dice_loss(logits, labels, smooth=smooth), expected["per_picture_plain"])

    def batch(logits, **options):
        one = logits.reshape(1, -1, logits.shape[-1])
        return losses.dice_loss(one, labels.reshape(1, -1), smooth=smooth, **options)[0]

    close(batch(logits), expected["plain"])
    value, grad = jax.value_and_grad(functools.partial(batch, squared=True))(logits)
    close(value, expected["squared"])
    close(grad, expected["grad_squared"])


@pytest.mark.parametrize("delta", [0.7, 1])
def test_huber_loss(delta, cases):
    inputs, expected = cases["huber"]["inputs"], cases["huber"]["expected"]
    prediction, target = (jnp.array(inputs[name])[:, None] for name in ("prediction", "target"))
    close(losses.huber_loss(prediction, target, delta=delta), expected[f"huber_{delta}"])


def test_ctc_loss(cases):
    case = cases["ctc"]
    inputs, expected = case["inputs"], case["expected"]
    lengths = np.array(inputs["label_lengths"])
    places = np.arange(np.shape(inputs["labels"])[1])
    labels = jnp.array(np.where(places < lengths[:, None], inputs["labels"], -1))

    def loss(logits):
        return losses.ctc_loss(logits, labels, jnp.array(inputs["logit_lengths"]))

    logits = jnp.array(inputs["logits"])
    close(loss(logits), expected["loss"])
    close((np.array(loss(logits)) / lengths).mean(), expected["mean_over_labels"])
    grad = jax.grad(lambda logits: loss(logits).sum())(logits)
    np.testing.assert_allclose(grad, expected["grad_logits_of_sum"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["unimatch_0.8", "unimatch_0.95"])
def test_unimatch(name, cases):
    """The partners' images, which have a batch of their own there, follow in one batch here."""
    case = cases[name]
    inputs, expected = case["inputs"], case["expected"]
    method = UniMatch(threshold=case["params"]["threshold"])
    streams, logits = dict(zip(STREAMS, method.views[1:], strict=True)), inputs["logits"]
    boxes, size = inputs["cutmix_boxes"], len(logits["weak"])
    partner = (jnp.arange(2 * size) + size) % (2 * size)
    cuts = [1.0 - np.concatenate([box, np.zeros_like(box)]) for box in boxes]
    masks = inputs["ignore"] != IGNORE, inputs["ignore_mix"] != IGNORE
    valid = {s: np.where(box == 1, *masks[::-1]) for s, box in zip(STREAMS, boxes, strict=False)}
    valid["weak_dropout"] = masks[0]

    def losses_of(logits):
        views = seen(method, 0)._replace(
            logits={"weak": jnp.concatenate([logits["weak"], logits["weak_mix"]])}
            | {view_key(v): jnp.concatenate([logits[s], logits[s]]) for s, v in streams.items()},
            view_params={
                view_key(v): MixParams(partner, cut.mean((1, 2)), jnp.array(cut))
                for v, cut in zip(method.views[1:3], cuts, strict=True)
            },
        )
        found = dict(zip(STREAMS, method.losses(views), strict=True))
        return {
            s: jnp.where(valid[s], found[s][:size], 0.0).sum() / float(valid[s].sum())
            for s in STREAMS
        }

    def total(logits):
        found = losses_of(logits)
        strong = method.strong_weight / 2 * (found["strong1"] + found["strong2"])
        unlabelled = strong + method.feature_weight * found["weak_dropout"]
        labelled = mean(losses.cross_entropy, logits["labelled"], known(inputs["labels"]))[0]
        return (labelled + unlabelled) / 2

    given = {name: jnp.array(value) for name, value in logits.items()}
    for stream, value in jax.jit(losses_of)(given).items():
        close(value, expected[f"loss_{STREAMS[stream]}"])
    value, grads = jax.jit(jax.value_and_grad(total))(given)
    close(value, expected["loss"])
    for stream in (*STREAMS, "labelled"):
        if f"grad_{stream}" in expected:
            close(grads[stream], expected[f"grad_{stream}"])
    assert not np.abs(grads["weak"]).any() and not np.abs(grads["weak_mix"]).any()
