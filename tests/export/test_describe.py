"""What a run reads and answers, as its data and tasks say."""

import functools
import json

import numpy as np
import pytest

from mtl_jax import data, losses, metrics
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import Format, read_columns
from mtl_jax.export.describe import (
    answer_kind,
    evaluation_inputs,
    input_spec,
    label_scales,
    task_specs,
)
from mtl_jax.export.model_card import resizing
from mtl_jax.losses import binary_cross_entropy, cosine_distance, ctc_loss, dice_loss
from mtl_jax.metrics import Accuracy, MeanAngle, MeanIoU
from mtl_jax.predict import ArraySpec, Tokenizer
from mtl_jax.predict.description import Description, from_json, to_json
from mtl_jax.predict.features import encode_columns
from tests.export.models import graphs, table, texts
from tests.small import DATA, HEIGHT, ROW, RUN


def own_loss(outputs, labels):
    return outputs[..., 0]


@pytest.mark.parametrize(
    ("changes", "dtype", "kind"),
    [
        ({}, np.int32, "multiclass"),
        ({"loss": binary_cross_entropy}, np.float32, "multilabel"),
        ({"num_outputs": 1, "loss": binary_cross_entropy}, np.int32, "binary"),
        ({"loss": dice_loss, "metrics": (MeanIoU(), Accuracy())}, np.int32, "multiclass"),
        ({"loss": cosine_distance, "metrics": (MeanAngle(),)}, np.float32, "continuous"),
        ({"loss": own_loss}, np.int32, "multiclass"),
        ({"loss": functools.partial(ctc_loss, blank=0)}, np.int32, "arrays"),
    ],
)
def test_kinds_of_answers(changes, dtype, kind):
    if kind == "multilabel":
        changes = {**changes, "metrics": (metrics.AUROC(),)}
    assert answer_kind(ROW.replace(**changes), np.dtype(dtype)) == kind


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((2, 4, 4, 3), "uint8", "image"),
        ((2, 4), "float32", "vector"),
        ((2, 4), "int32", "tokens"),
        ((2, 4, 3), "float32", "series"),
    ],
)
def test_kinds_of_inputs(shape, dtype, kind):
    spec = input_spec(DATA, np.zeros(shape, dtype))
    assert (spec.kind, spec.arrays) == (kind, {"inputs": ArraySpec(shape[1:], dtype)})


def test_sizes_before_resizing():
    twice = data.Resized(data.Resized(DATA, (4, 5)), (3, 3))
    spec = input_spec(twice, twice.load().test["inputs"])
    assert spec.arrays["inputs"].shape == (3, 3, 1) and spec.resized_from == ((6, 6), (4, 5))
    description = Description("x", spec, (), {}, 1, "0.10")
    content = json.loads(json.dumps(to_json(description)))
    content.pop("format")
    assert from_json(content) == description
    content["inputs"].pop("resized_from")  # As exports of before.
    assert from_json(content).inputs.resized_from == ()
    assert resizing(()) == "this height and width, bilinearly (Pillow)"
    assert resizing(spec.resized_from).startswith("6 x 6, bilinearly (Pillow), then to 4 x 5 and ")


def test_inputs_by_name():
    run = graphs()
    spec = input_spec(run.data, run.data.test["inputs"])
    assert spec.kind == "arrays" and spec.arrays["edges"] == ArraySpec((3, 3, 2), "float32")


def test_texts_and_their_classes(tmp_path):
    run = texts(tmp_path)
    spec = input_spec(run.data, run.data.load().test["inputs"])
    assert (spec.text, spec.tokenizer) == ("review", Tokenizer(6, True))
    (task,) = task_specs(run, run.data, {"label": None})
    assert (task.kind, task.classes) == ("multiclass", ("bad", "good"))


def test_a_table_is_encoded_as_in_training(tmp_path):
    run = table(tmp_path)
    arrays = run.data.load()
    spec = input_spec(run.data, arrays.test["inputs"])
    rows = read_columns(tmp_path / "rows.csv", None, Format(**spec.cells))
    found = encode_columns(rows, spec.columns)
    own = np.concatenate([split["inputs"] for split in arrays])

    def in_order(rows):
        return rows[np.lexsort(rows.round(4).T)]

    np.testing.assert_allclose(in_order(found), in_order(own), atol=1e-6)
    sex, fare = task_specs(run, run.data, {"sex": None, "fare": None})
    assert (sex.kind, sex.classes) == ("binary", ("f", "m"))
    train = 3.0 * np.arange(40)
    assert fare.kind == "continuous" and 0 < fare.mean[0] < train.max() and fare.std[0] > 20


def test_a_description_is_read_as_it_was_written(tmp_path):
    run = table(tmp_path)
    spec = input_spec(run.data, run.data.load().test["inputs"])
    tasks = task_specs(run, run.data, {"sex": None, "fare": None})
    description = Description("table", spec, tasks, {"sex": ArraySpec((1,), "float32")}, 10, "0.10")
    content = json.loads(json.dumps(to_json(description)))
    assert content.pop("format") == 1
    again = from_json(content)
    assert again.tasks == tasks and again.inputs.columns == spec.columns
    assert to_json(again).keys() == to_json(description).keys()


def test_scales_of_labels_in_other_sources():
    scaled = data.StandardizedLabels(DATA, ("height",))
    mean, std = scaled.scales()["height"]
    hidden = data.PartialAnnotation(scaled, ("row", "column"))
    for source in (scaled, hidden, data.FixedLabels(hidden, "row", "labels.json")):
        assert label_scales(source) == {"height": (mean, std)}
    several = data.MultiInput(
        (data.Input("tall", scaled, "height"), data.Input("row", DATA, "row"))
    )
    assert label_scales(several) == {"tall": (mean, std)} and label_scales(DATA) == {}


def test_boxes_without_a_decoder_are_arrays():
    task = Task(
        name="row", num_outputs=2, loss=losses.center_loss, metrics=(metrics.MeanAbsoluteError(),)
    )
    specs = task_specs(RUN.replace(tasks=(task,)), DATA, {"row/heatmap": None})
    assert specs[0].kind == "arrays"


def test_inputs_of_several_shapes_are_refused():
    splits = {"test": {"a": {"inputs": np.zeros((2, 3))}, "b": {"inputs": np.zeros((2, 4))}}}
    with pytest.raises(
        BadInput, match=r"Run\.data must have inputs of one shape and dtype for all"
    ):
        evaluation_inputs(RUN, splits)


def test_unnamed_classes():
    specs = task_specs(RUN.replace(tasks=(ROW, HEIGHT)), DATA, {"row": None, "height": None})
    assert [(s.kind, s.classes, s.mean) for s in specs] == [
        ("multiclass", None, None),
        ("continuous", None, None),
    ]
