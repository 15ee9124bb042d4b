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
from mtl_jax.losses.center import center_focal_loss
from mtl_jax.losses.center_targets import center_targets, gaussian_radius
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


def test_radii_of_centers(cases):
    case = cases["gaussian_radius"]
    height, width = jnp.array(case["inputs"]["height_width"], float).T
    close(gaussian_radius(height, width), case["expected"]["centernet"])
    close(gaussian_radius(height, width, corrected=True), case["expected"]["corrected"])


def center_boxes(cases):
    """The boxes `[M, 5]` as the code cuts them, with padding, and the shape of the heatmap."""
    case = cases["centernet_targets"]
    rows, columns, classes = (case["params"][key] for key in ("rows", "columns", "classes"))
    most = [columns - 1, rows - 1] * 2
    boxes = np.zeros((case["params"]["max_objects"], 5))
    boxes[:, 0] = -1
    given = np.clip(case["inputs"]["boxes"], 0, most)
    boxes[: len(given)] = np.column_stack([case["inputs"]["classes"], given])
    return jnp.array(boxes), (rows, columns, classes)


@pytest.mark.parametrize("stride", [1, 4])
def test_targets_of_centers(stride, cases):
    boxes, shape = center_boxes(cases)
    boxes = boxes.at[:, 1:].multiply(stride)
    targets, expected = center_targets(boxes, shape, stride), cases["centernet_targets"]["expected"]
    close(targets.heatmap, expected["heatmap"])
    close(targets.size, expected["size_wh"])
    np.testing.assert_array_equal(targets.mask, expected["mask"])
    known = np.array(targets.mask)
    close(targets.offset[known], expected["offset_xy"][known])
    index = np.array(targets.cell) @ [shape[1], 1]
    np.testing.assert_array_equal(index[known], expected["index"][known])


def test_losses_of_centers(cases):
    case = cases["centernet_losses"]
    expected, (boxes, _) = case["expected"], center_boxes(cases)
    names = {"heatmap": "heatmap_logits", "size": "size_map", "offset": "offset_map"}
    maps = {name: jnp.array(case["inputs"][own])[None] for name, own in names.items()}
    heatmap = jnp.array(cases["centernet_targets"]["expected"]["heatmap"])
    count = expected["positives"]
    close(center_focal_loss(maps["heatmap"][0], heatmap) / count, expected["heatmap_loss"])

    def loss(logits, **weights):
        outputs = maps | {"heatmap": logits}
        return losses.center_loss(outputs, boxes[None], stride=1, **weights)[0]

    whole = expected["heatmap_loss"] + 0.1 * expected["size_loss"] + expected["offset_loss"]
    value, grad = jax.value_and_grad(loss)(maps["heatmap"])
    # The code divides the last two by 2 N + 1e-4.
    np.testing.assert_allclose(value, whole, rtol=2e-5)
    close(grad[0], expected["grad_heatmap_logits"])
    halves = loss(maps["heatmap"], size_weight=0.05, offset_weight=0.5)
    np.testing.assert_allclose(halves, expected["total_code"], rtol=2e-5)
    alone = loss(maps["heatmap"], size_weight=0.0, offset_weight=0.0)
    for name, options in {
        "size": {"size_weight": 1.0, "offset_weight": 0.0},
        "offset": {"size_weight": 0.0, "offset_weight": 1.0},
    }.items():
        value = loss(maps["heatmap"], **options) - alone
        close(value * count / (2 * count + 1e-4), expected[f"{name}_loss_code"])


def test_boxes_of_centers(cases):
    case = cases["centernet_decode"]
    probabilities, expected = case["inputs"]["heatmap"], case["expected"]
    outputs = {
        "heatmap": np.log(probabilities / (1 - probabilities))[None],
        "size": case["inputs"]["size_map"][None],
        "offset": case["inputs"]["offset_map"][None],
    }
    for offset, boxes in ((outputs["offset"], "boxes"), (0.5, "boxes_without_offset")):
        given = outputs | {"offset": np.broadcast_to(offset, outputs["size"].shape)}
        found = metrics.decode_centers(given, stride=1, top=case["params"]["top"])
        close(found["boxes"][0], expected[boxes])
        close(found["scores"][0], expected["scores"])
        np.testing.assert_array_equal(found["classes"][0], expected["classes"])
    twice = metrics.decode_centers(outputs, stride=2, top=case["params"]["top"])
    close(twice["boxes"][0], 2 * expected["boxes"])


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
