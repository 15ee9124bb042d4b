"""Figures: their panels, bars and lines hold the numbers of the records."""

import numpy as np
import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.report import figures
from mtl_jax.report.affinity import MAX_PAIRS
from mtl_jax.report.pareto_front import nondominated
from mtl_jax.report.scores import collect
from tests.small import COLUMN, HEIGHT, ROW, RUN

ROW_ALONE = RUN.replace(name="row alone", tasks=(ROW,))
HEIGHT_ALONE = RUN.replace(name="height alone", tasks=(HEIGHT,))
BOTH = RUN.replace(name="both", tasks=(ROW, HEIGHT))
ONE_SEED = BOTH.replace(name="one seed", num_seeds=1)
EXPERIMENT = Experiment(
    runs=(ROW_ALONE, HEIGHT_ALONE, BOTH, ONE_SEED), baselines=("row alone", "height alone")
)


def records(run, values):
    """Evaluations at steps 4 and 8; `values` `[2, S]` are each task's metric, ema has half."""
    found = []
    for step, value in zip((4, 8), np.asarray(values), strict=True):
        kinds = {
            kind: {t.name: {t.selection_metric.name: (scale * value).tolist()} for t in run.tasks}
            for kind, scale in (("raw", 1.0), ("ema", 0.5))
        }
        train = {f"weight/{t.name}": (step + n + value).tolist() for n, t in enumerate(run.tasks)}
        train |= {"loss/row": [9.0] * run.num_seeds}
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
    titles = [panel.get_title() for panel in panels]
    assert titles == ["row alone", "both", "one seed", "height alone", "both", "one seed"]
    labels = [panels[index].get_ylabel() for index in (0, 3)]
    assert labels == ["validation\naccuracy %", "validation\nheight mse"]
    # Means over seeds: percent of accuracy, the error as it is.
    rows, heights = lines_of(panels[1]), lines_of(panels[4])
    assert (rows.keys(), heights.keys()) == ({"row raw", "row ema"}, {"height raw", "height ema"})
    np.testing.assert_allclose(rows["row raw"], [[4, 8], [20, 70]])
    np.testing.assert_allclose(rows["row ema"], [[4, 8], [10, 35]])
    np.testing.assert_allclose(heights["height raw"], [[4, 8], [0.2, 0.7]])
    assert len({panel.get_ylim() for panel in panels[:3]}) == 1, "one scale for each metric"
    assert len({panel.get_xlim() for panel in panels[:3]}) == 1
    low, high = panels[0].collections[0].get_paths()[0].get_extents().get_points()
    np.testing.assert_allclose([low, high], [[4, 10], [8, 90]])  # The range of the seeds.
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["row", "height", "raw parameters", "ema parameters"]
    colours = [{line.get_label(): line.get_color() for line in p.get_lines()} for p in panels]
    assert colours[0]["row raw"] == colours[1]["row raw"] != colours[4]["height raw"]


def test_gains(folders):
    figure = figures.gains(EXPERIMENT, collect(EXPERIMENT, folders))
    panels = shown(figure)
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["both", "one seed"]
    assert [panel.get_xlabel() for panel in panels] == ["accuracy %", "mse"]
    bars = [c for panel in panels for c in panel.containers if hasattr(c, "patches")]
    assert [bar.get_label() for bar in bars] == ["row", "height"]
    # Paired by seed: accuracy +10 and +20, error 1 and 0.5 lower. One seed has no pair.
    np.testing.assert_allclose([[p.get_width() for p in bar] for bar in bars], [[15.0], [0.75]])
    half = 12.706205 * np.array([5.0, 0.25])  # t_1(0.975) times sd / sqrt 2, by hand.
    spans = [bar.errorbar.lines[2][0].get_segments()[0][:, 0] for bar in bars]
    np.testing.assert_allclose(np.ptp(spans, axis=1) / 2, half, rtol=1e-5)


def test_gains_of_one_seed_have_no_interval(finished):
    row, column = (RUN.replace(name=t.name, tasks=(t,), num_seeds=1) for t in (ROW, COLUMN))
    run = RUN.replace(num_seeds=1)
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


def test_gains_of_many_tasks_are_a_mean_and_dots(finished):
    """Seven tasks: one is helped in both seeds alike, one hurt, also after Holm's correction."""
    tasks = tuple(ROW.replace(name=f"task{n}") for n in range(7))
    alone = tuple(RUN.replace(name=f"{task.name} alone", tasks=(task,)) for task in tasks)
    run = RUN.replace(name="all", tasks=tasks)
    gained = {task.name: np.array([0.1, -0.1]) for task in tasks}
    gained |= {"task0": np.array([0.205, 0.2051]), "task1": np.array([-0.305, -0.3051])}
    folders = {each.name: finished(each, {each.tasks[0].name: [0.5, 0.5]}) for each in alone}
    folders["all"] = finished(run, {name: (0.5 + gain).tolist() for name, gain in gained.items()})
    experiment = Experiment(runs=(*alone, run), baselines=tuple(each.name for each in alone))
    (axis,) = shown(figures.gains(experiment, collect(experiment, folders)))
    dots = lines_of(axis)
    np.testing.assert_allclose(dots["a task, helped"], [[20.505], [0]])
    np.testing.assert_allclose(dots["a task, hurt"], [[-30.505], [0]])
    np.testing.assert_allclose(dots["a task, open"], [[0] * 5, [0] * 5], atol=1e-9)
    (bar,) = axis.patches
    np.testing.assert_allclose(bar.get_width(), -10 / 7)  # by hand: (20.5 - 30.5) / 7.


def test_gains_of_many_tasks_in_two_units_are_relative(finished):
    tasks = (HEIGHT, *(ROW.replace(name=f"task{n}") for n in range(6)))
    alone = tuple(RUN.replace(name=f"{task.name} alone", tasks=(task,)) for task in tasks)
    run = RUN.replace(name="all", tasks=tasks)
    folders = {each.name: finished(each, {each.tasks[0].name: [0.5, 0.5]}) for each in alone}
    folders["all"] = finished(run, {task.name: [0.25, 0.2501] for task in tasks})
    experiment = Experiment(runs=(*alone, run), baselines=tuple(each.name for each in alone))
    (axis,) = shown(figures.gains(experiment, collect(experiment, folders)))
    dots = lines_of(axis)
    np.testing.assert_allclose(dots["a task, helped"], [[49.99], [0]])  # The error fell.
    np.testing.assert_allclose(dots["a task, hurt"], [[-49.99] * 6, [0] * 6])
    np.testing.assert_allclose(axis.patches[0].get_width(), -5 * 49.99 / 7)
    assert axis.get_xlabel() == "relative gain %"


def test_curves_of_many_tasks_are_a_distribution(finished):
    tasks = tuple(ROW.replace(name=f"task{n}") for n in range(17))
    run, alone = RUN.replace(name="all", tasks=tasks), RUN.replace(name="one", tasks=tasks[:1])
    values = {task.name: np.array([[0.01 * n, 0.03 * n]] * 2) for n, task in enumerate(tasks)}
    found = records(run, np.zeros((2, 2)))
    for record in found:
        for kind in ("raw", "ema"):
            for name, each in values.items():
                record["validation"][kind][name] = {"accuracy": each[0].tolist()}
    folders = {
        "all": finished(run, {name: [0.5, 0.5] for name in values}, records=found),
        "one": finished(alone, {"task0": [0.5, 0.5]}, records=records(alone, np.zeros((2, 2)))),
    }
    figure = figures.curves(Experiment(runs=(run, alone)), folders)
    panel, single = shown(figure)
    np.testing.assert_allclose(lines_of(panel)["median raw"], [[4, 8], [16, 16]])
    bands = [each.get_paths()[0].get_extents().get_points()[:, 1] for each in panel.collections]
    np.testing.assert_allclose(bands, [[0, 32], [8, 24]])
    assert set(lines_of(single)) == {"task0 raw", "task0 ema"}
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    over = ["median over tasks", "range over tasks", "quartiles over tasks"]
    assert names == [*over, "raw parameters", "ema parameters"]


def test_curves_of_many_tasks_with_units_are_not_a_distribution(finished):
    tasks = tuple(HEIGHT.replace(name=f"task{n}") for n in range(17))
    run = RUN.replace(name="all", tasks=tasks)
    selected = {task.name: [0.5, 0.5] for task in tasks}
    folders = {"all": finished(run, selected, records=records(run, np.ones((2, 2))))}
    (panel,) = shown(figures.curves(Experiment(runs=(run,)), folders))
    assert set(lines_of(panel)) == {f"task{n} {kind}" for n in range(17) for kind in ("raw", "ema")}


def test_balance(folders):
    figure = figures.balance(EXPERIMENT, folders)
    panels = shown(figure)
    assert [panel.get_title() for panel in panels] == ["both", "one seed"]
    lines = lines_of(panels[0])
    np.testing.assert_allclose(lines["row"], [[4, 8], [4.2, 8.7]])
    np.testing.assert_allclose(lines["height"], [[4, 8], [5.2, 9.7]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["row", "height"]


def test_single_task_runs_have_no_balance(folders):
    assert figures.balance(Experiment(runs=(ROW_ALONE, HEIGHT_ALONE)), folders) is None


def test_constant_weights_are_not_shown(finished):
    run = RUN.replace(num_seeds=1)
    train = {"weight/row": [1.0], "weight/column": [1.0]}
    made = [{"step": step, "train": train} for step in (4, 8)]
    folder = finished(run, {"row": [0.5], "column": [0.5]}, records=made)
    assert figures.balance(Experiment(runs=(run,)), {run.name: folder}) is None


def test_balance_of_many_tasks_and_runs_stays_readable(finished):
    tasks = tuple(ROW.replace(name=f"task{n}") for n in range(14))
    runs = tuple(RUN.replace(name=f"run{n}", tasks=tasks, num_seeds=1) for n in range(26))
    folders = {}
    for run in runs:
        made = [
            {"step": step, "train": {f"weight/task{n}": [float(n + step)] for n in range(14)}}
            for step in (4, 8)
        ]
        values = {task.name: [0.5] for task in tasks}
        folders[run.name] = finished(run, values, records=made)
    figure = figures.balance(Experiment(runs=runs), folders)
    assert len(shown(figure)) == 24
    lines = [line for line in shown(figure)[0].get_lines() if line.get_label().startswith("task")]
    assert len(lines) == 14 and len({tuple(line.get_color()) for line in lines}) == 14
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == [f"task{n}" for n in range(0, 14, 2)]


def with_affinity(run, steps, cosines, lookahead):
    """Records of evaluations; cosines `[T, S, K, K]`, lookahead `[S, K, K]` at every one."""
    found = records(run, np.full((2, run.num_seeds), 0.5))
    for step, record, cosine in zip(steps, found, np.asarray(cosines), strict=True):
        each = {"cosine": cosine.tolist(), "lookahead": np.asarray(lookahead).tolist()}
        record |= {"step": step, "affinity": each}
    return found


def images(axis):
    return [np.ma.filled(image.get_array(), np.nan) for image in axis.get_images()]


def test_affinity(finished):
    tasks = (ROW, HEIGHT, COLUMN)
    run = RUN.replace(name="three", tasks=tasks)
    cosines = np.zeros((2, 2, 3, 3))
    cosines[:, :, 0, 1] = [[0.2, 0.4], [0.6, 0.8]]  # Row with height, by step and seed.
    cosines[:, :, 0, 2] = -0.5
    lookahead = np.array([np.arange(9.0).reshape(3, 3), np.arange(9.0).reshape(3, 3) + 2.0])
    made = with_affinity(run, (4, 8), cosines, lookahead)
    made.insert(1, {**made[0], "step": 6})
    del made[1]["affinity"]
    values = {"row": [0.5, 0.5], "height": [0.5, 0.5], "column": [0.5, 0.5]}
    folder = finished(run, values, records=made)
    figure = figures.affinity(Experiment(runs=(run,)), {"three": folder})
    cosine, matrix = (axis for axis in figure.axes if axis.get_images())
    (image,) = images(cosine)
    np.testing.assert_allclose(image, [[-0.5, -0.5], [0, 0], [0.3, 0.7]])  # Means over seeds.
    assert cosine.get_images()[0].get_clim() == (-1.0, 1.0)
    assert cosine.get_title() == "three"
    labels = [text.get_text() for text in cosine.get_yticklabels()]
    assert labels == ["row - column", "height - column", "row - height"]
    assert [text.get_text() for text in cosine.get_xticklabels()] == ["4", "8"]
    (image,) = images(matrix)
    np.testing.assert_allclose(image, [[np.nan, 2, 3], [4, np.nan, 6], [7, 8, np.nan]])
    assert matrix.get_images()[0].get_clim() == (-8.0, 8.0)
    for ticks in (matrix.get_xticklabels(), matrix.get_yticklabels()):
        assert [text.get_text() for text in ticks] == ["row", "height", "column"]


def test_affinity_of_many_tasks_shows_the_extreme_pairs(finished):
    tasks = tuple(ROW.replace(name=f"task{n}") for n in range(9))
    run = RUN.replace(name="many", tasks=tasks, num_seeds=1)
    upper = np.triu_indices(9, 1)
    cosines = np.zeros((2, 1, 9, 9))
    cosines[:, :, *upper] = np.linspace(-1.0, 1.0, 36)
    made = with_affinity(run, (4, 8), cosines, np.zeros((1, 9, 9)))
    folder = finished(run, {task.name: [0.5] for task in tasks}, records=made)
    figure = figures.affinity(Experiment(runs=(run,)), {"many": folder})
    cosine, matrix = (axis for axis in figure.axes if axis.get_images())
    (image,) = images(cosine)
    assert image.shape == (MAX_PAIRS, 2)
    np.testing.assert_allclose(image[[0, 14, 15, 29], 0], np.linspace(-1, 1, 36)[[0, 14, 21, 35]])
    assert cosine.get_title() == "many (30 of 36 pairs)"
    assert matrix.get_images()[0].get_clim() == (-1.0, 1.0)  # No affinity, and no scale of 0.


def test_runs_without_affinity_have_no_figure_of_it(folders):
    assert figures.affinity(EXPERIMENT, folders) is None


def test_tradeoff(folders):
    figure = figures.plot_pareto_front(EXPERIMENT, collect(EXPERIMENT, folders))
    (axis,) = shown(figure)
    assert axis.get_xlabel() == "row accuracy (test, higher is better)"
    assert axis.get_ylabel() == "height mse (test, lower is better)"
    lines = lines_of(axis)
    assert lines["row alone"][0] == pytest.approx([55.0, 55.0])  # An upright line.
    assert lines["height alone"][1] == [2.5, 2.5]
    points = {c.get_label(): c for c in axis.containers}
    assert list(points) == ["1  both", "2  one seed"]
    np.testing.assert_allclose(points["1  both"].lines[0].get_xydata(), [[70.0, 1.75]])
    across, up = (part.get_segments()[0] for part in points["1  both"].lines[2])
    half = 12.706205 * np.array([10.0, 0.75])  # t_1(0.975) times sd / sqrt 2, by hand.
    np.testing.assert_allclose(np.ptp(across[:, 0]) / 2, half[0], rtol=1e-5)
    np.testing.assert_allclose(np.ptp(up[:, 1]) / 2, half[1], rtol=1e-5)
    # More accuracy, less error: neither beats the other.
    np.testing.assert_allclose(lines["Pareto front"], [[60.0, 70.0], [1.0, 1.75]])
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"1  both", "2  one seed", "row alone", "height alone", "Pareto front"} == set(named)
    assert [text.get_text() for text in axis.texts] == ["1", "2"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1, 2], [2, 1], [1, 1], [0, 3]], [True, True, False, True]),  # by hand.
        ([[1, 2], [1, 2]], [True, True]),  # Equals do not beat each other.
        ([[1, 2], [1, 3]], [False, True]),
    ],
)
def test_undominated(values, expected):
    np.testing.assert_array_equal(nondominated(np.array(values)), expected)


def test_without_two_tasks_or_two_runs_there_is_no_tradeoff(folders, finished):
    one = Experiment(runs=(ROW_ALONE, HEIGHT_ALONE, BOTH))
    assert figures.plot_pareto_front(one, collect(one, folders)) is None
    three = RUN.replace(name="three", tasks=(ROW, COLUMN, HEIGHT))
    runs = (three, three.replace(name="again"))
    values = {"row": [0.5, 0.6], "column": [0.5, 0.6], "height": [0.5, 0.6]}
    made = {run.name: finished(run, values) for run in runs}
    more = Experiment(runs=runs)
    assert figures.plot_pareto_front(more, collect(more, made)) is None


def test_write_removes_what_is_shown_no_more(folders, tmp_path):
    figures.write(EXPERIMENT, folders, tmp_path)
    names = ("curves", "gains", "balance", "tradeoff")
    pictures = {f"{name}.{ending}" for name in names for ending in ("png", "pdf")}
    assert {path.name for path in tmp_path.glob("*.p[nd][gf]")} == pictures
    for ending in ("png", "pdf"):
        (tmp_path / f"affinity.{ending}").write_bytes(b"of an earlier launch")
    (tmp_path / "mine.png").write_bytes(b"of somebody else")
    without = Experiment(runs=EXPERIMENT.runs)
    figures.write(without, folders, tmp_path)
    left = {path.name for path in tmp_path.glob("*.p[nd][gf]")}
    assert left == {*pictures, "mine.png"} - {"gains.png", "gains.pdf"}
