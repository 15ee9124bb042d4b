"""Figures of pseudo-labels: their lines and colors are the numbers of the records."""

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.report.pseudo_label_classes import plot_pseudo_label_classes
from mtl_jax.report.pseudo_labels import plot_pseudo_labels
from tests.figure_text import faults
from tests.small import ROW, RUN, UNLABELLED

ONE = UNLABELLED.replace(name="one", tasks=UNLABELLED.tasks[:1])
TRUE = np.array([[4, 6, 0], [5, 5, 0]])  # By seed and class; class 2 has no example.


def counts(correct, predicted, confident=0):
    """Counts `[2, 3]`; the first `confident` predictions of class 0 are, and half are right."""
    first = np.array([[confident, 0, 0], [0, 0, 0]])
    return {
        "true": TRUE.tolist(),
        "predicted": predicted,
        "correct": correct,
        "confident": first.tolist(),
        "confident_correct": (first / 2).tolist(),
    }


def record(step, rate, **by_task):
    train = {} if rate is None else {"mask_rate/row": [rate, rate / 2]}
    found = {"step": step, "train": train}
    return {**found, "unlabelled": {"raw": by_task}} if by_task else found


EARLY = counts([[2, 3, 0], [5, 0, 0]], [[4, 5, 1], [10, 0, 0]], confident=0)
LATE = counts([[4, 6, 0], [0, 5, 0]], [[4, 6, 0], [0, 10, 0]], confident=4)


def lines(axis):
    return [np.ma.filled(line.get_ydata(), np.nan).tolist() for line in axis.get_lines()]


def drawn(figure):
    return {axis.get_ylabel().replace("\n", " "): axis for axis in figure.axes if axis.axison}


def test_accuracies_beside_shares(finished):
    records = [record(4, 0.5, row=EARLY), record(8, 1.0, row=LATE)]
    folders = {"one": finished(ONE, {"row": [0.5, 0.5]}, records=records)}
    figure = plot_pseudo_labels(Experiment(runs=(ONE,)), folders)
    axes = drawn(figure)
    names = ["share used", "accuracy", "share with p≥0.95", "accuracy with p≥0.95"]
    assert list(axes) == names and faults(figure) == []
    assert lines(axes["share used"]) == [[0.375, 0.75]]
    assert lines(axes["accuracy"]) == [[0.5, 0.75]]  # (5/10 + 5/10) / 2, (10/10 + 5/10) / 2.
    assert lines(axes["share with p≥0.95"]) == [[0.0, 0.2]]
    # The second seed, and the first at first, has no confident one.
    np.testing.assert_array_equal(lines(axes["accuracy with p≥0.95"]), [[np.nan, 0.5]])


def test_a_run_that_uses_all_has_accuracies_only(finished):
    records = [record(4, 1.0, row=EARLY), record(8, 1.0, row=LATE)]
    for each in records:
        each["train"] = {"mask_rate/row": [1.0, 1.0]}
    folders = {"one": finished(ONE, {"row": [0.5, 0.5]}, records=records)}
    axes = drawn(plot_pseudo_labels(Experiment(runs=(ONE,)), folders))
    assert list(axes) == ["accuracy", "share with p≥0.95", "accuracy with p≥0.95"]


def test_records_from_before_there_were_counts(finished):
    """A run that was resumed by a newer version has counts at its last evaluations only."""
    records = [record(4, 0.5), record(8, 0.5)]
    folders = {"one": finished(ONE, {"row": [0.5, 0.5]}, records=records)}
    experiment = Experiment(runs=(ONE,))
    assert list(drawn(plot_pseudo_labels(experiment, folders))) == ["share used"]
    assert plot_pseudo_label_classes(experiment, folders) is None
    none = {
        RUN.name: finished(RUN, {"row": [0.5] * 2, "column": [0.5] * 2}, records=[record(4, None)])
    }
    assert plot_pseudo_labels(Experiment(runs=(RUN,)), none) is None
    later = ONE.replace(name="later")
    records = [record(4, 0.5), record(8, 0.5, row=LATE)]
    folders = {"later": finished(later, {"row": [0.5, 0.5]}, records=records)}
    axes = drawn(plot_pseudo_labels(Experiment(runs=(later,)), folders))
    (line,) = axes["accuracy"].get_lines()
    assert line.get_xdata().tolist() == [8] and line.get_ydata().tolist() == [0.75]


def test_classes(finished):
    two = ONE.replace(name="two", tasks=(ROW, ROW.replace(name="kind")))
    records = [record(4, 0.5, row=EARLY, kind=LATE), record(8, 0.5, row=LATE, kind=LATE)]
    folders = {
        "one": finished(ONE, {"row": [0.5, 0.5]}, records=[record(4, 0.5, row=EARLY)]),
        "two": finished(two, {"row": [0.5, 0.5], "kind": [0.5, 0.5]}, records=records),
    }
    figure = plot_pseudo_label_classes(Experiment(runs=(ONE, two)), folders)
    assert faults(figure) == []
    panels = [axis for axis in figure.axes if axis.get_title()]
    titles = [axis.get_title().replace("\n", " ") for axis in panels]
    assert titles == ["one, row", "two, row", "two, kind"] * 2
    shown = [np.ma.filled(axis.get_images()[0].get_array(), np.nan) for axis in panels]
    nan = [np.nan] * 2
    # By class and step, both seeds together: 7 of 9 and 3 of 11, then 4 of 9 and 11 of 11.
    np.testing.assert_allclose(shown[1], [[7 / 9, 4 / 9], [3 / 11, 1.0], nan])
    np.testing.assert_allclose(shown[4], [[14 / 9, 4 / 9], [5 / 11, 16 / 11], nan])
    np.testing.assert_allclose(shown[0], shown[1][:, :1])
