"""No text of a figure covers another one or leaves the paper, whatever the names and numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import Cell, Factorial
from mtl_jax.report import figures
from tests.figure_text import faults
from tests.small import HEIGHT, ROW, RUN

LONG = "a run with a rather long name, cosine schedule, five hundred labels and $ signs_"
WORD = "Supercalifragilisticexpialidocious" * 2


def named(tasks, number):
    """A run of tasks whose name is short, long, or one long word."""
    return RUN.replace(name=(f"run {number}", LONG + str(number), WORD + str(number))[number % 3],
                       tasks=tasks, num_seeds=3)  # fmt: skip


def records(run, rng, steps=(20_000, 40_000, 1_000_000)):
    """Evaluations with all that figures of training show."""
    count = len(run.tasks)
    classes = [task for task in run.tasks if task.num_outputs > 1]
    counts = ("true", "predicted", "correct", "confident", "confident_correct")
    for step in steps:
        yield {
            "step": step,
            "train": {f"weight/{t.name}": rng.lognormal(0, 3, 3).tolist() for t in run.tasks}
            | {f"mask_rate/{t.name}": rng.random(3).tolist() for t in run.tasks},
            "validation": {
                kind: {t.name: {t.selection_metric.name: rng.random(3).tolist()} for t in run.tasks}
                for kind in ("raw", "ema")
            },
            "unlabelled": {
                "raw": {t.name: {n: rng.random((3, 3)).tolist() for n in counts} for t in classes}
            },
            "affinity": {
                "cosine": rng.uniform(-1, 1, (3, count, count)).tolist(),
                "lookahead": (1e-6 * rng.normal(size=(3, count, count))).tolist(),
            },
        }


def finished_runs(runs, finished, values=None):
    """Folders of runs with results; `values` `[R]` are equal for all tasks and seeds."""
    rng = np.random.default_rng(0)
    folders = {}
    for index, run in enumerate(runs):
        own = rng.random((len(run.tasks), 3)) if values is None else np.full((len(run.tasks), 3), values[index])  # fmt: skip
        selected = {task.name: row.tolist() for task, row in zip(run.tasks, own, strict=True)}
        measured = list(records(run, rng))
        for record in measured if index > 2 else ():
            del record["affinity"]
        folders[run.name] = finished(run, selected, records=measured)
    return folders


def check(experiment, folders, *names):
    drawn = {name: each for name, each in figures.draw(experiment, folders).items() if each}
    assert set(names) <= set(drawn)
    found = {name: faults(figure) for name, figure in drawn.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert {figure.get_figwidth() for figure in drawn.values()} == {5.5}


@pytest.mark.slow
@pytest.mark.parametrize(("num_tasks", "num_runs"), [(2, 17), (5, 5), (14, 2)])
def test_many_runs_and_tasks(finished, num_tasks, num_runs):
    tasks = tuple(ROW.replace(name=f"task{n} of a long name {n}") for n in range(num_tasks - 1))
    tasks += (HEIGHT.replace(name=f"{LONG}, height"),) if num_tasks == 2 else (ROW,)
    alone = tuple(RUN.replace(name=f"{t.name} alone", tasks=(t,), num_seeds=3) for t in tasks)
    runs = (*(named(tasks, n) for n in range(num_runs)), *alone)
    experiment = Experiment(runs=runs, baselines=tuple(run.name for run in alone))
    folders = finished_runs(runs, finished)
    check(experiment, folders, "curves", "balance", "gains", "affinity", "pseudo_labels",
          "pseudo_label_classes")  # fmt: skip


def test_runs_with_equal_results(finished):
    """Many numbers beside one point of the trade-off."""
    runs = tuple(named((ROW, HEIGHT), n) for n in range(12))
    folders = finished_runs(runs, finished, values=[0.5] * 12)
    check(Experiment(runs=runs), folders, "tradeoff")


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [(ROW, HEIGHT), tuple(ROW.replace(name=f"{n}") for n in "abcde")])
def test_effects_of_long_levels(finished, tasks):
    levels = [("first", LONG, WORD), ("off", "on")]
    cells = [(one, other) for one in levels[0] for other in levels[1]]
    runs = tuple(named(tasks, n) for n in range(len(cells)))
    design = Factorial(
        ("the way to balance", "unlabelled examples"),
        tuple(Cell(cell, (run.name,)) for cell, run in zip(cells, runs, strict=True)),
    )
    folders = finished_runs(runs, finished)
    check(Experiment(runs=runs, factorial=design), folders, "effects")


def test_overlap_is_found():
    figure = Figure()
    for place in ((0.5, 0.5), (0.51, 0.5), (0.99, 0.1)):
        figure.text(*place, "words")
    assert faults(figure) == ["'words' leaves the paper", "'words' is on 'words'"]
