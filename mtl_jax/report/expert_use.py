"""Figure of the experts that each task uses, by the gates of mixtures of experts."""

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
from mtl_jax.report.plotting import SMALL, add_color_bar, panel_rows, paper_figure, set_title
from mtl_jax.report.text_size import shorten
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_first_seed
from mtl_jax.train import build_model
from mtl_jax.train.views import as_float

MAX_RUNS = 8
MAX_EXAMPLES = 200
NAME = 0.7  # Inches of a task's name.

Gates = dict[str, dict[str, np.ndarray]]  # Mean weights `[E]` of the experts, by level and task.


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
    most = max(len(by_task) for _, by_task in panels)
    figure, (block,) = panel_rows([len(panels)], 0.5 + 0.12 * max(most, 4), columns=3)
    for (title, by_task), axis in zip(panels, block, strict=True):
        weights = np.stack(list(by_task.values()))
        axis.imshow(
            weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest"
        )
        axis.set_yticks(range(len(by_task)), [shorten(name, NAME, SMALL) for name in by_task])
        axis.set_xlabel("expert")
        axis.locator_params(axis="x", integer=True, nbins=6)
        set_title(axis, title)
    add_color_bar(figure, block, "mean weight")
    return figure


def gates_of(run: Run, folder: RunDirectory) -> Gates:
    """The gates of a run on its first test examples; {} for an architecture without gates."""
    streams = load_run_data(run).splits["test"].values()
    first = 0 if seed_axis(run) == 0 else slice(None)
    found: Gates = {}
    for arrays in streams:
        inputs = jax.tree.map(
            lambda leaf: jnp.asarray(leaf[first][:MAX_EXAMPLES]), arrays["inputs"]
        )
        for task in (task.name for task in run.tasks if task.name in arrays):
            params, stats = load_first_seed(run, folder, task, "its gates are drawn")
            for level, weights in gate_weights(run, task, params, stats, inputs).items():
                found.setdefault(level, {})[task] = weights
    return found


def gate_weights(
    run: Run, task: str, params: Any, stats: Any, inputs: Any
) -> dict[str, np.ndarray]:
    """Mean weights `[E]` of the experts of a task, by level of its gates."""
    pattern = re.compile(rf"(?:task_)?gate_(?:(\d+)_)?{re.escape(task)}")
    found: dict[str, np.ndarray] = {}

    def record(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        module = context.module
        match = pattern.fullmatch(module.name or "")
        if match and context.method_name == "__call__":
            weights = expert_weights(run, module, outputs)
            found[match[1] or "0"] = np.asarray(jnp.atleast_2d(weights).mean(0))
        return outputs

    with nn.intercept_methods(record):
        build_model(run).apply(params, stats, as_float(inputs), train=False)
    return found


def expert_weights(run: Run, module: nn.Module, outputs: Any) -> jax.Array:
    """Expert weights `[N, E]`, or `[E]`, from the outputs of the module of a gate."""
    if not isinstance(module, Selectors):
        return jax.nn.softmax(outputs)
    logits, codes = outputs
    selectors = selector_weights(codes, run.trunk.experts, run.trunk.gamma)
    return jnp.einsum("...k,...ke->...e", jax.nn.softmax(logits), selectors)
