"""Figures: their panels, bars and lines hold the numbers of the records."""

import math

import numpy as np
import pytest

from mtl_jax.host import figures
from mtl_jax.host.scores import collect
from mtl_jax.run import Experiment
from tests.small import COLUMN, HEIGHT, ROW, RUN

ROW_ALONE = RUN.but(name="row alone", tasks=(ROW,))
HEIGHT_ALONE = RUN.but(name="height alone", tasks=(HEIGHT,))
BOTH = RUN.but(name="both", tasks=(ROW, HEIGHT))
ONE_SEED = BOTH.but(name="one seed", seeds=1)
EXPERIMENT = Experiment(
    runs=(ROW_ALONE, HEIGHT_ALONE, BOTH, ONE_SEED), baselines=("row alone", "height alone")
)


def records(run, values):
    """Evaluations at steps 4 and 8; `values` `[2, S]` are each task's metric, ema has half."""
    found = []
    for step, value in zip((4, 8), np.asarray(values), strict=True):
        kinds = {
            kind: {t.name: {t.metric.name: (scale * value).tolist()} for t in run.tasks}
            for kind, scale in (("raw", 1.0), ("ema", 0.5))
        }
        train = {f"weight/{t.name}": (step + n + value).tolist() for n, t in enumerate(run.tasks)}
        train |= {"loss/row": [9.0] * run.seeds, "cosine/row-height": (-value).tolist()}
        found.append({"step": step, "train": train, "validation": kinds})
    return found


@pytest.fixture
def folders(finished):
    two, one = [[0.1, 0.3], [0.5, 0.9]], [[0.1], [0.5]]
    return {
        "row alone": finished(ROW_ALONE, {"row": [0.5, 0.6]}, records=records(ROW_ALONE, two)),
        "height alone": finished(
            HEIGHT_ALONE, {"height": [2.0, 3.0]}, records=records(HEIGHT_ALONE, two)
        ),
        "both": finished(
            BOTH, {"row": [0.6, 0.8], "height": [1.0, 2.5]}, records=records(BOTH, two)
        ),
        "one seed": finished(
            ONE_SEED, {"row": [0.6], "height": [1.0]}, records=records(ONE_SEED, one)
        ),
    }


def lines_of(axis):
    return {line.get_label(): line.get_xydata().T.tolist() for line in axis.get_lines()}


def shown(figure):
    return [axis for axis in figure.axes if axis.axison]


def test_curves(folders):
    figure = figures.curves(EXPERIMENT, folders)
    panels = shown(figure)
    assert [panel.get_title() for panel in panels] == list(folders)
    # Means over seeds: percent of accuracy, the error as it is.
    lines = lines_of(panels[2])
    assert lines.keys() == {"row raw", "row ema", "height raw", "height ema"}
    np.testing.assert_allclose(lines["row raw"], [[4, 8], [20, 70]])
    np.testing.assert_allclose(lines["row ema"], [[4, 8], [10, 35]])
    np.testing.assert_allclose(lines["height raw"], [[4, 8], [0.2, 0.7]])
    low, high = panels[0].collections[0].get_paths()[0].get_extents().get_points()
    np.testing.assert_allclose([low, high], [[4, 10], [8, 90]])  # The range of the seeds.
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["row raw", "row ema", "height raw", "height ema"]
    colours = [{line.get_label(): line.get_color() for line in p.get_lines()} for p in panels]
    assert colours[0]["row raw"] == colours[2]["row raw"] != colours[2]["height raw"]


def test_gains(folders):
    figure = figures.gains(EXPERIMENT, collect(EXPERIMENT, folders))
    (axis,) = shown(figure)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["both", "one seed"]
    bars = [c for c in axis.containers if hasattr(c, "patches")]
    assert [bar.get_label() for bar in bars] == ["row", "height"]
    # Paired by seed: accuracy +10 and +20, error 1 and 0.5 lower. One seed has no pair.
    np.testing.assert_allclose([[p.get_width() for p in bar] for bar in bars], [[15.0], [0.75]])
    half = 12.706205 * np.array([5.0, 0.25])  # t_1(0.975) times sd / sqrt 2, by hand.
    spans = [bar.errorbar.lines[2][0].get_segments()[0][:, 0] for bar in bars]
    np.testing.assert_allclose(np.ptp(spans, axis=1) / 2, half, rtol=1e-5)


def test_gains_of_one_seed_have_no_interval(finished):
    row, column = (RUN.but(name=t.name, tasks=(t,), seeds=1) for t in (ROW, COLUMN))
    run = RUN.but(seeds=1)
    folders = {
        "row": finished(row, {"row": [0.5]}),
        "column": finished(column, {"column": [0.5]}),
        "hard": finished(run, {"row": [0.25], "column": [0.75]}),
    }
    experiment = Experiment(runs=(row, column, run), baselines=("row", "column"))
    (axis,) = shown(figures.gains(experiment, collect(experiment, folders)))
    assert [patch.get_width() for patch in axis.patches] == [-25.0, 25.0]
    bars = [c for c in axis.containers if hasattr(c, "patches")]
    spans = [bar.errorbar.lines[2][0].get_segments()[0][:, 0] for bar in bars]
    np.testing.assert_array_equal(np.ptp(spans, axis=1), [0.0, 0.0])


def test_without_every_baseline_there_are_no_gains(folders):
    alone = Experiment(runs=EXPERIMENT.runs, baselines=("row alone",))
    assert figures.gains(alone, collect(alone, folders)) is None
    only = Experiment(runs=(ROW_ALONE,), baselines=("row alone",))
    assert figures.gains(only, collect(only, folders)) is None


def test_balance(folders):
    panels = shown(figures.balance(EXPERIMENT, folders))
    assert [panel.get_title() for panel in panels] == ["both", "one seed"]
    lines = lines_of(panels[0])
    np.testing.assert_allclose(lines["weight/row"], [[4, 8], [4.2, 8.7]])
    np.testing.assert_allclose(lines["weight/height"], [[4, 8], [5.2, 9.7]])
    np.testing.assert_allclose(lines["cosine/row-height"], [[4, 8], [-0.2, -0.7]])
    assert not any(name.startswith("loss") for name in lines)
    assert len([line for line in panels[0].get_lines() if line.get_linestyle() == "--"]) == 1


def test_single_task_runs_have_no_balance(folders):
    assert figures.balance(Experiment(runs=(ROW_ALONE, HEIGHT_ALONE)), folders) is None


def test_ten_tasks_have_all_their_traces(finished):
    """10 weights and 45 cosines: more than a few rounds of colours."""
    run = RUN.but(seeds=1)
    train = {f"weight/{n}": [float(n)] for n in range(10)}
    train |= {f"cosine/{n}": [math.cos(n)] for n in range(45)}
    folder = finished(run, {"row": [0.5], "column": [0.5]}, records=[{"step": 1, "train": train}])
    assert len(list(figures.traces(run, folder))) == 55


@pytest.mark.parametrize(("baselines", "pictures"), [(True, 3), (False, 2)])
def test_write(folders, tmp_path, baselines, pictures):
    names = EXPERIMENT.baselines if baselines else ()
    experiment = Experiment(runs=EXPERIMENT.runs, baselines=names)
    figures.write(experiment, folders, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == pictures
