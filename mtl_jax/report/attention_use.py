"""Figure of how much of the shared features each task attends to, by the masks of MTAN."""

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
PARTS = {"": "", "encoder": "E", "decoder": "D"}

Stages = dict[str, np.ndarray]  # Mean attention `[S]`, by stage.


@paper_figure
def plot_attention_use(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Mean attention of each task at each stage, on test examples, a panel for each run.

    It is the mean of the masks of `MTAN` and `SegNetMTAN` over examples, positions and channels: a
    mask of 0 takes no shared feature, one of 1 takes all. Lines are means over seeds with their
    range, by the selected parameters. Of a SegNet, E0 is the first stage of the encoder and D0 the
    last one of the decoder. None without such a run.
    """
    runs = [
        run
        for run in experiment.runs
        if traits(run.trunk).is_multitask and is_complete(run, folders[run.name])
    ]
    found = {run.name: attention_of(run, folders[run.name]) for run in runs}
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
        axis.set_ylim(0.0, 1.0)
        axis.set_yticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    label_edges(block, "stage", "mean attention")
    add_legend(figure, artists)
    return figure


def draw_stages(axis: Any, stages: Stages, color: Any) -> Any:
    """Draws the attention of a task over the stages, and returns its line."""
    values = np.stack(list(stages.values()))
    places = range(len(values))
    axis.fill_between(places, values.min(1), values.max(1), color=color, alpha=0.12, lw=0)
    line, *_ = axis.plot(places, values.mean(1), "-o", ms=2, color=color)
    every = math.ceil(len(values) / MAX_TICKS)
    axis.set_xticks(places[::every], list(stages)[::every])
    return line


def attention_of(run: Run, folder: RunDirectory) -> dict[str, Stages]:
    """The mean attention of each task of a run by stage; {} for an architecture without masks."""
    names = [task.name for task in run.tasks]
    read = functools.partial(read_mask, names)
    found = outputs_by_task(run, folder, read, "its attention is drawn", run.num_seeds)
    return {
        task: {f"{PARTS[part]}{abs(order)}": means for (_, order, part), means in stages.items()}
        for task, stages in found.items()
        if stages
    }


def read_mask(tasks: Sequence[str], module: nn.Module, outputs: Any) -> dict[Place, jax.Array]:
    """The mean `[]` of a mask, from the outputs of a module; {} if it is no mask.

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
            return {(task, (*order, part)): outputs.mean()}
    return {}
