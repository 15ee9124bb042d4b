"""Interactive learning curves of a page: validation beside training, a line for each run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.formatting import heading, metric_of
from mtl_jax.report.overfitting import Onset, find_onsets
from mtl_jax.storage.run_directory import RunDirectory

MAX_TASKS = 8
MAX_LABEL = 20  # Characters of a name in the legend; the tooltip has all.
HEIGHT = 260  # Pixels of a panel.
GRAY = "#808080"  # Legible on white and on black, as the colors below are.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#9A7D0A", "#7A5CC7", "#808080", "#2A9FD6",
)  # fmt: skip
DASHES = ("solid", "dashed", "dotdash", "dotted")
TOOLTIPS = [
    ("", "$name"), ("step", "@x"), ("mean", "@y{0.0000}"), ("seeds", "@low{0.0000} to @high{0.0000}")
]  # fmt: skip
KINDS = {"raw": 1.0, "ema": 0.45}  # Parameters, and how opaque their lines are.


class TaskCurves(NamedTuple):
    """The curves of a task."""

    task: str
    validation: str  # HTML of the panel
    training: str
    overfitting: list[str]  # a line for each run that overfits


class Curves(NamedTuple):
    """The curves of an experiment."""

    tasks: list[TaskCurves]
    script: str  # HTML of the scripts, empty if there are no curves
    left_out: int  # tasks beyond the first ones


NO_CURVES = Curves([], "", 0)


class Line(NamedTuple):
    """A run's values over steps."""

    run: str
    kind: str  # "raw" or "ema"
    steps: list[int]
    values: np.ndarray  # [T, S]


def learning_curves(experiment: Experiment, folders: Mapping[str, RunDirectory]) -> Curves:
    """The validation metric and training loss of each task, mean over seeds."""
    if not experiment.runs:
        return NO_CURVES
    from bokeh.embed import components
    from bokeh.resources import Resources

    records = {
        run.name: [record for record in folders[run.name].records() if "validation" in record]
        for run in experiment.runs
    }
    onsets = {
        run.name: find_onsets(run, {record["step"]: record for record in records[run.name]})
        for run in experiment.runs
    }
    styles = styles_of([run.name for run in experiment.runs])
    tasks = list(tasks_of(experiment).values())
    panels, notes = {}, {}
    for task in tasks[:MAX_TASKS]:
        runs = [run for run in experiment.runs if heading(task) in map(heading, run.tasks)]
        own = {run.name: onsets[run.name].get(task.name) for run in runs}
        begun = {name: onset for name, onset in own.items() if onset is not None}
        notes[task.name] = [overfitting_note(*each) for each in begun.items()]
        panels[f"{task.name}/validation"], panels[f"{task.name}/training"] = draw(
            task, runs, records, begun, styles
        )
    script, html = components(panels)
    library = Resources(mode="inline", components=["bokeh"], log_level="error").render_js()
    found = [
        TaskCurves(name, html[f"{name}/validation"], html[f"{name}/training"], own)
        for name, own in notes.items()
    ]
    return Curves(found, f"{library}\n{script}", max(0, len(tasks) - MAX_TASKS))


def draw(
    task: Task,
    runs: Sequence[Run],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    onsets: Mapping[str, Onset],
    styles: Mapping[str, Mapping[str, Any]],
) -> tuple[Any, Any]:
    """The panels of a task; a click in the legend hides a run in both."""
    from bokeh.models import Legend, LegendItem

    validation = panel(f"validation {metric_of(task)}")
    training = panel("training loss", validation.x_range)
    items = []
    for run in runs:
        own, style = records[run.name], styles[run.name]
        shown = [add_line(validation, line, style) for line in validation_lines(run, task, own)]
        other = add_line(training, training_line(run, task, own), style)
        if run.name in onsets:
            onset = onsets[run.name]
            shown.append(
                validation.scatter(
                    [onset.last], [onset.before], marker="inverted_triangle", size=10,
                    color=style["color"],
                )
            )  # fmt: skip
        for renderer in (*shown[1:], other):
            shown[0].js_link("visible", renderer, "visible")
        items.append(LegendItem(label=shorten(run.name), renderers=shown[:1]))
    legend = Legend(
        items=items, ncols=2, click_policy="hide", label_text_font_size="11px",
        label_text_color=GRAY, background_fill_alpha=0.0, border_line_alpha=0.0,
        spacing=4, glyph_width=24, label_height=14, glyph_height=14,
    )  # fmt: skip
    validation.add_layout(legend, "below")
    validation.height = HEIGHT + 18 * math.ceil(len(items) / 2)
    return validation, training


def panel(title: str, x_range: Any = None) -> Any:
    """An empty panel, without a background."""
    from bokeh.models import HoverTool, Title
    from bokeh.plotting import figure

    shared = {} if x_range is None else {"x_range": x_range}
    found = figure(
        title=Title(text=title, text_color=GRAY), height=HEIGHT, sizing_mode="stretch_width", tools="pan,wheel_zoom,box_zoom,reset",
        active_drag=None, x_axis_label="step", background_fill_alpha=0.0, border_fill_alpha=0.0,
        outline_line_color=GRAY, toolbar_location="above", **shared,
    )  # fmt: skip
    found.toolbar.logo = None
    found.add_tools(HoverTool(tooltips=TOOLTIPS))
    for axis in (*found.xaxis, *found.yaxis):
        axis.update(
            axis_label_text_color=GRAY, major_label_text_color=GRAY, axis_line_color=GRAY,
            major_tick_line_color=GRAY, minor_tick_line_color=None,
        )  # fmt: skip
    for grid in (*found.xgrid, *found.ygrid):
        grid.update(grid_line_color=GRAY, grid_line_alpha=0.25)
    return found


def add_line(found: Any, line: Line, style: Mapping[str, Any]) -> Any:
    """Draws a line."""
    mean, low, high = line.values.mean(1), line.values.min(1), line.values.max(1)
    source = {"x": line.steps, "y": mean.tolist(), "low": low.tolist(), "high": high.tolist()}
    return found.line(
        "x", "y", source=source, name=f"{line.run}, {line.kind}", line_width=1.8,
        line_alpha=KINDS[line.kind], **style,
    )  # fmt: skip


def validation_lines(run: Run, task: Task, records: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The validation metric of the raw and, if the run has them, the averaged parameters."""
    metric, steps = task.selection_metric, [record["step"] for record in records]
    kinds = KINDS if run.evaluation.ema_decay else ["raw"]
    return [
        Line(run.name, kind, steps, metric.scale * np.array(values))
        for kind in kinds
        for values in ([r["validation"][kind][task.name][metric.name] for r in records],)
    ]


def training_line(run: Run, task: Task, records: Sequence[Mapping[str, Any]]) -> Line:
    """The training loss, of the raw parameters."""
    values = np.array([record["train"][f"loss/{task.name}"] for record in records])
    return Line(run.name, "raw", [record["step"] for record in records], values)


def overfitting_note(name: str, onset: Onset) -> str:
    """A line on a run whose validation metric gets worse, and from which step on."""
    return f"{name} overfits from step {onset.last} on: {onset.before:.3g}, at the end {onset.after:.3g}"


def styles_of(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A color and dash for each name; of very many, some share both."""
    return {
        name: {
            "color": COLORS[index % len(COLORS)],
            "line_dash": DASHES[index // len(COLORS) % len(DASHES)],
        }
        for index, name in enumerate(names)
    }


def shorten(name: str) -> str:
    """A name that fits into half of a phone's width, without its middle."""
    half = MAX_LABEL // 2
    return name if len(name) <= MAX_LABEL else f"{name[: half - 1]}…{name[-half:]}"
