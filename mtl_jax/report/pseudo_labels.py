"""Figure of pseudo-labels over training: how many are used, and from which confidence on."""

from collections.abc import Mapping

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.report.plotting import (
    add_legend,
    colors_of,
    panel_rows,
    paper_figure,
    set_title,
    share_axes,
)
from mtl_jax.storage.run_directory import RunDirectory

# What methods report, by the name in `metrics.jsonl`.
QUANTITIES = {
    "mask_rate": "share used",
    "hard_rate": "share of hard ones",
    "shrunk_rate": "share with fewer classes",
    "labelled_mask_rate": "share of labelled ones used",
    "threshold": "threshold",
}
MAX_TASKS = 8

Series = tuple[list[int], np.ndarray]  # Steps `[T]`, and values `[T, S]`.


@paper_figure
def plot_pseudo_labels(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Shares and thresholds of pseudo-labels over steps, mean and range over seeds, by task.

    Lines are runs; those that use every pseudo-label throughout are left out. None if no run
    selects pseudo-labels.
    """
    found = {run.name: read_series(run, folders[run.name]) for run in experiment.runs}
    found = {name: series for name, series in found.items() if selects(series)}
    if not found:
        return None
    keys = list(dict.fromkeys(key for series in found.values() for key in series))
    tasks = list(dict.fromkeys(task for _, task in keys))[:MAX_TASKS]
    blocks = {
        quantity: [task for task in tasks if (quantity, task) in keys] for quantity in QUANTITIES
    }
    blocks = {quantity: own for quantity, own in blocks.items() if own}
    figure, panels = panel_rows([len(own) for own in blocks.values()], 1.2)
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
        share_axes(block, "step", QUANTITIES[quantity])
    add_legend(figure, {name: artists[name] for name in found})
    return figure


def read_series(run: Run, folder: RunDirectory) -> dict[tuple[str, str], Series]:
    """What a run reported of its pseudo-labels, by quantity and task."""
    records = folder.records()
    steps = [record["step"] for record in records]
    return {
        (quantity, task.name): (steps, np.array([record["train"][key] for record in records]))
        for quantity in QUANTITIES
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
