"""Figure of the experts that each task uses, by the gates of mixtures of experts."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.core.trunk import traits
from mtl_jax.nets.multitask.dselect_k import Selectors, selector_weights
from mtl_jax.report.class_predictions import is_complete
from mtl_jax.report.layer_outputs import Place, outputs_by_task
from mtl_jax.report.plotting import SMALL, add_color_bar, break_title, panel_rows, paper_figure
from mtl_jax.report.text_size import shorten
from mtl_jax.storage.run_directory import RunDirectory

MAX_RUNS = 8
COLUMNS = 3  # Panels side by side.
NAME = 0.7  # Inches of a task's name.

Gates = dict[int, dict[str, np.ndarray]]  # Mean weights `[E]` of the experts, by level and task.


@paper_figure
def plot_expert_use(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Mean weight of each expert (column) in the features of each task (row), on test examples.

    A panel for each level of gates of `MMoE`, `CGC`, `PLE` and `DSelectK`, by the first seed's
    selected parameters. None without such a run.
    """
    runs = [
        run
        for run in experiment.runs
        if traits(run.trunk).is_multitask and is_complete(run, folders[run.name])
    ]
    found = {run.name: gates_of(run, folders[run.name]) for run in runs[:MAX_RUNS]}
    panels = [
        (f"{name}, level {level}" if len(gates) > 1 else name, by_task)
        for name, gates in found.items()
        for level, by_task in gates.items()
    ]
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    titles = [break_title(title, columns, NAME) for title, _ in panels]
    rows = max(4, *(len(by_task) for _, by_task in panels))
    lines = max(title.count("\n") for title in titles)
    figure, (block,) = panel_rows([len(panels)], 0.5 + 0.12 * rows + 0.09 * lines, columns)
    for title, (_, by_task), axis in zip(titles, panels, block, strict=True):
        draw_weights(axis, by_task)
        axis.set_title(title, fontsize=SMALL)
    add_color_bar(figure, block, "mean weight")
    return figure


def draw_weights(axis: Any, by_task: Mapping[str, np.ndarray]) -> None:
    """Draws the weights of the experts as a row for each task."""
    axis.imshow(
        np.stack(list(by_task.values())),
        cmap="Blues",
        vmin=0.0,
        vmax=1.0,
        aspect="auto",
        interpolation="nearest",
    )
    axis.set_yticks(range(len(by_task)), [shorten(name, NAME, SMALL) for name in by_task])
    axis.set_xlabel("expert")
    axis.locator_params(axis="x", integer=True, nbins=6)


def gates_of(run: Run, folder: RunDirectory) -> Gates:
    """The gates of a run on its first test examples; {} for an architecture without gates."""
    read = functools.partial(read_gate, run)
    found: Gates = {}
    for task, levels in outputs_by_task(run, folder, read, "its gates are drawn", 1).items():
        for level, weights in levels.items():
            found.setdefault(level, {})[task] = weights[0]
    return found


def read_gate(run: Run, module: nn.Module, outputs: Any) -> dict[Place, jax.Array]:
    """Mean weights `[E]` of the experts, from the outputs of a module; {} if it is no gate."""
    for task in run.tasks:
        pattern = rf"(?:task_)?gate_(?:(\d+)_)?{re.escape(task.name)}"
        match = re.fullmatch(pattern, module.name or "")
        if match:
            weights = jnp.atleast_2d(expert_weights(run, module, outputs))
            return {(task.name, int(match[1] or 0)): weights.mean(0)}
    return {}


def expert_weights(run: Run, module: nn.Module, outputs: Any) -> jax.Array:
    """Expert weights `[N, E]`, or `[E]`, from the outputs of the module of a gate."""
    if not isinstance(module, Selectors):
        return jax.nn.softmax(outputs)
    logits, codes = outputs
    selectors = selector_weights(codes, run.trunk.experts, run.trunk.gamma)
    return jnp.einsum("...k,...ke->...e", jax.nn.softmax(logits), selectors)
