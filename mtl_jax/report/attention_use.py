"""Figure of how alike the features are that tasks attend to, by the masks of MTAN."""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.core.trunk import traits
from mtl_jax.nets.multitask.mtan import Mask
from mtl_jax.report.class_predictions import is_complete
from mtl_jax.report.layer_outputs import Place, outputs_by_task
from mtl_jax.report.plotting import (
    GRAY,
    add_legend,
    colors_of,
    label_edges,
    panel_rows,
    paper_figure,
    set_title,
)
from mtl_jax.storage.run_directory import RunDirectory

MAX_RUNS = 8
MAX_TICKS = 6  # Stages with a name; of more, every n-th has one.
MAX_VALUES = 100_000  # Of a mask that are compared.
PARTS = {"": "", "encoder": "E", "decoder": "D"}

Stages = dict[str, np.ndarray]  # By stage, an array `[S, ...]`.


@paper_figure
def plot_attention_use(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Correlation of each task's masks with those of the others by stage, a panel for each run.

    It is over examples of the test part, positions and channels of the masks of `MTAN` and
    `SegNetMTAN`, averaged over the other tasks: 1 if all attend to the same features, 0 if each
    chooses by itself. (The mean of a mask tells nothing: its norm keeps it near a half.) Lines are
    means over seeds with their range, by the selected parameters. Of a SegNet, E0 is the first
    stage of the encoder and D0 the last one of the decoder. None without such a run of several
    tasks.
    """
    runs = [
        run
        for run in experiment.runs
        if traits(run.trunk).is_multitask and is_complete(run, folders[run.name])
    ]
    found = {run.name: correlations(masks_of(run, folders[run.name])) for run in runs}
    panels = list({name: by_task for name, by_task in found.items() if by_task}.items())[:MAX_RUNS]
    if not panels:
        return None
    figure, (block,) = panel_rows([len(panels)], 1.25)
    colors = colors_of(list(dict.fromkeys(task for _, by_task in panels for task in by_task)))
    artists = {}
    for (name, by_task), axis in zip(panels, block, strict=True):
        for task, stages in by_task.items():
            artists[task] = draw_stages(axis, stages, colors[task])
        set_title(axis, name)
        axis.axhline(0.0, color=GRAY, lw=0.5)
        axis.set_ylim(-1.05, 1.05)
        axis.set_yticks([-1.0, 0.0, 1.0], ["-1", "0", "1"])
    label_edges(block, "stage", "correlation of masks")
    add_legend(figure, artists)
    return figure


def draw_stages(axis: Any, stages: Stages, color: Any) -> Any:
    """Draws the correlations `[S]` of a task over the stages, and returns its line."""
    values = np.stack(list(stages.values()))
    places = range(len(values))
    axis.fill_between(places, values.min(1), values.max(1), color=color, alpha=0.12, lw=0)
    line, *_ = axis.plot(places, values.mean(1), "-o", ms=2, color=color)
    every = math.ceil(len(values) / MAX_TICKS)
    axis.set_xticks(places[::every], list(stages)[::every])
    return line


def correlations(masks: Mapping[str, Stages]) -> dict[str, Stages]:
    """Mean correlation `[S]` of each task's masks with those of the others; {} of one task."""
    if len(masks) < 2:
        return {}
    found: dict[str, Stages] = {task: {} for task in masks}
    for stage in next(iter(masks.values())):
        stacked = np.stack([stages[stage] for stages in masks.values()])  # [K, S, n]
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN for a constant mask.
            matrices = np.array([np.corrcoef(of_seed) for of_seed in stacked.swapaxes(0, 1)])
        means = (matrices.sum(-1) - 1.0) / (len(masks) - 1)  # [S, K]
        for task, values in zip(masks, means.T, strict=True):
            found[task][stage] = values
    return found


def masks_of(run: Run, folder: RunDirectory) -> dict[str, Stages]:
    """Values `[S, n]` of the masks of each task by stage; {} for an architecture without masks."""
    names = [task.name for task in run.tasks]
    read = functools.partial(read_mask, names)
    found = outputs_by_task(run, folder, read, "its attention is drawn", run.num_seeds)
    return {
        task: {f"{PARTS[part]}{abs(order)}": values for (_, order, part), values in stages.items()}
        for task, stages in found.items()
        if stages
    }


def read_mask(tasks: Sequence[str], module: nn.Module, outputs: Any) -> dict[Place, jax.Array]:
    """Values `[n]` of a mask for the first examples, from the outputs of a module; {} of others.

    Its place sorts as stages follow each other: an encoder, and a decoder with falling numbers.
    """
    if not isinstance(module, Mask):
        return {}
    for task in tasks:
        pattern = rf"task_(?:(encoder|decoder)_)?mask(\d+)_{re.escape(task)}"
        match = re.fullmatch(pattern, module.name or "")
        if match:
            part, number = match[1] or "", int(match[2])
            order = (1, -number) if part == "decoder" else (0, number)
            count = max(1, MAX_VALUES // math.prod(outputs.shape[1:]))
            return {(task, (*order, part)): outputs[:count].reshape(-1)}
    return {}
