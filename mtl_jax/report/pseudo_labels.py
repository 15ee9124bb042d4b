"""Figure of pseudo-labels over training: how many are used, and how many of them are right."""

from collections.abc import Mapping

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.report.hidden_counts import HiddenCounts, ratio, read_hidden_counts
from mtl_jax.report.plotting import (
    MEDIUM,
    add_legend,
    colors_of,
    panel_rows,
    paper_figure,
    set_title,
    share_axes,
)
from mtl_jax.report.text_size import break_lines
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import CONFIDENCE

# What methods report, by the name in `metrics.jsonl`, and what evaluations measure.
REPORTED = {
    "mask_rate": "share used",
    "hard_rate": "share of hard ones",
    "shrunk_rate": "share with fewer classes",
    "labelled_mask_rate": "share of labelled ones used",
    "threshold": "threshold",
}
MEASURED = {
    "accuracy": "accuracy",
    "confident_rate": f"share with p≥{CONFIDENCE}",
    "confident_accuracy": f"accuracy with p≥{CONFIDENCE}",
}
QUANTITIES = {**REPORTED, **MEASURED}
MAX_TASKS = 8
HEIGHT, LABEL = 1.2, 0.85  # Inches of a panel, and of a line of its vertical label.

Series = tuple[list[int], np.ndarray]  # Steps `[T]`, and values `[T, S]`.


@paper_figure
def plot_pseudo_labels(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Shares, thresholds and accuracies of pseudo-labels over steps, by task.

    Lines are runs, means and ranges over seeds. Shares used and thresholds are those of the
    batches, of runs that select pseudo-labels. Accuracies are those of the predictions for a
    sample of the training examples with hidden labels. None if there is neither.
    """
    found = {run.name: read_series(run, folders[run.name]) for run in experiment.runs}
    found = {name: series for name, series in found.items() if series}
    if not found:
        return None
    keys = list(dict.fromkeys(key for series in found.values() for key in series))
    tasks = list(dict.fromkeys(task for _, task in keys))[:MAX_TASKS]
    blocks = {
        quantity: [task for task in tasks if (quantity, task) in keys] for quantity in QUANTITIES
    }
    blocks = {quantity: own for quantity, own in blocks.items() if own}
    figure, panels = panel_rows([len(own) for own in blocks.values()], HEIGHT)
    colors = colors_of(list(found))
    artists = {}
    for (quantity, own), block in zip(blocks.items(), panels, strict=True):
        for task, axis in zip(own, block, strict=True):
            set_title(axis, task)
            for name, series in found.items():
                if (quantity, task) in series:
                    steps, values = series[quantity, task]
                    low, high = values.min(1), values.max(1)
                    axis.fill_between(steps, low, high, color=colors[name], alpha=0.12, lw=0)
                    artists[name], *_ = axis.plot(steps, values.mean(1), color=colors[name])
        share_axes(block, "step", break_lines(QUANTITIES[quantity], LABEL, MEDIUM))
    add_legend(figure, {name: artists[name] for name in found if name in artists})
    return figure


def read_series(run: Run, folder: RunDirectory) -> dict[tuple[str, str], Series]:
    """What is known of a run's pseudo-labels, by quantity and task."""
    reported = read_reported(run, folder)
    measured = {
        (quantity, task): (counts.steps, values)
        for task, counts in read_hidden_counts(run, folder).items()
        for quantity, values in accuracies(counts).items()
    }
    return {**(reported if selects(reported) else {}), **measured}


def accuracies(counts: HiddenCounts) -> dict[str, np.ma.MaskedArray]:
    """The quantities of `MEASURED` `[T, S]`, over all classes."""
    total = {name: values.sum(-1) for name, values in counts._asdict().items() if name != "steps"}
    return {
        "accuracy": ratio(total["correct"], total["true"]),
        "confident_rate": ratio(total["confident"], total["predicted"]),
        "confident_accuracy": ratio(total["confident_correct"], total["confident"]),
    }


def read_reported(run: Run, folder: RunDirectory) -> dict[tuple[str, str], Series]:
    """What a run's methods reported of its pseudo-labels, by quantity and task."""
    records = folder.records()
    steps = [record["step"] for record in records]
    return {
        (quantity, task.name): (steps, np.array([record["train"][key] for record in records]))
        for quantity in REPORTED
        for task in run.tasks
        for key in (f"{quantity}/{task.name}",)
        if records and all(key in record["train"] for record in records)
    }


def selects(series: Mapping[tuple[str, str], Series]) -> bool:
    """Whether a run leaves some pseudo-labels out."""
    return any(
        quantity == "mask_rate" and (values < 1.0).any()
        for (quantity, _), (_, values) in series.items()
    )
