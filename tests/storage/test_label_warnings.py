"""Notes: classes and labels that a seed trains without are told before anything is trained."""

import numpy as np
import pytest

from mtl_jax import aggregation, data, losses, metrics
from mtl_jax.storage.label_warnings import format_numbers
from mtl_jax.storage.run_data import load_run_data
from tests.runner.launching import launched
from tests.small import COLUMN, HEIGHT, ROW, RUN, part


def notes(run):
    return list(load_run_data(run).notes)


def with_labels(**changes):
    """Data of which some labels of the training part are others."""
    return data.Arrays(part(96, 0) | changes, part(40, 1), part(40, 2))


LACKING = np.where(part(96, 0)["row"] == 1, 0, part(96, 0)["row"])


def test_a_run_that_trains_on_every_class_says_nothing():
    assert (
        notes(RUN)
        == notes(RUN.replace(labels={"num_labelled": None}, tasks=(ROW, COLUMN, HEIGHT)))
        == []
    )


def test_a_class_of_the_other_parts_only_is_told():
    run = RUN.replace(data=with_labels(row=LACKING))
    said = "run 'hard': task 'row' is trained without labels of class 1 in seeds 0, 1"
    assert notes(run) == notes(run.replace(labels={"num_labelled": None})) == [said]


def test_a_task_without_any_label_is_told_by_seed():
    height = np.where(np.arange(96) % 3, np.nan, 1.5).astype(np.float32)
    run = RUN.replace(
        data=with_labels(height=height),
        tasks=(COLUMN, HEIGHT),
        labels={"num_labelled": 3},
        num_seeds=6,
    )
    known = load_run_data(run).train.streams[""].labelled.mask["height"]
    lost = [seed for seed in range(6) if not known[seed].any()]
    assert 0 < len(lost) < 6
    said = f"in seed{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}"
    assert notes(run) == [f"run 'hard': task 'height' is trained without labels {said}"]


def test_yes_and_no_in_floats_are_classes_too():
    task = HEIGHT.replace(loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))
    parts = [p | {"height": (p["row"] > 0).astype(np.float32)} for p in (part(96, 0), part(40, 1))]
    parts[0]["height"][:] = 0.0
    run = RUN.replace(
        data=data.Arrays(*parts, parts[1]), tasks=(task,), labels={"num_labelled": None}
    )
    assert notes(run) == [
        "run 'hard': task 'height' is trained without labels of class 1 in seeds 0, 1"
    ]


def test_a_single_class_is_told():
    parts = [p | {"row": np.ones(len(p["row"]), np.int32)} for p in (part(96, 0), part(40, 1))]
    run = RUN.replace(data=data.Arrays(*parts, parts[1]), tasks=(ROW,), labels={"num_labelled": 7})
    assert notes(run) == ["run 'hard': all labels of task 'row' are of class 1"]


def test_what_is_held_out_is_not_trained_on():
    row = np.repeat(np.arange(3), (94, 1, 1)).astype(np.int32)
    run = RUN.replace(
        data=with_labels(row=row), balance=aggregation.MOML(held_out=0.5), tasks=(ROW,)
    )
    assert (
        notes(run.replace(labels={"num_labelled": 6}, num_seeds=5)) == []
    )  # A class of one label is not held out.


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([2], "2"), ({3, 1}, "1, 3"), (range(12), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")],
)
def test_numbers_are_listed(numbers, text):
    assert format_numbers(numbers) == text


def test_a_launch_says_so_in_a_line_before_it_trains(tmp_path):
    file = tmp_path / "lacking.py"
    file.write_text(
        "from tests.storage.test_label_warnings import LACKING, with_labels\n"
        "from mtl_jax.config.experiment import Experiment\n"
        "from tests.small import RUN\n"
        "EXPERIMENT = Experiment(runs=(RUN.replace(data=with_labels(row=LACKING), steps=2),))\n"
    )
    code, _, err = launched(file, "--out", tmp_path / "out")
    said = "warning: run 'hard': task 'row' is trained without labels of class 1 in seeds 0, 1"
    assert code == 0 and err.splitlines()[0] == said and err.count("warning") == 1
