"""Grids of test images, with what runs predict on them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.plotting import SMALL, WIDTH, new_figure
from mtl_jax.report.text_size import break_lines, shorten
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_first_seed
from mtl_jax.train import build_model
from mtl_jax.train.views import as_float

NUM_IMAGES = 4
MAX_RUNS = 12
NAMES = 1.1  # Inches, the width of the names of rows.
HEIGHT = 8.0  # Inches of a figure, above which images are smaller, down to the least side.
LEAST = 0.4
LINE = 0.12  # Inches of a line of a name.

Draw = Callable[[Any], None]  # Draws on the axes of a panel.


def comparable_runs(
    experiment: Experiment, accepts: Callable[[Run, Task], bool]
) -> list[tuple[Run, Task]]:
    """The first runs with a task of an accepted kind, all of the data and task of the first one.

    Runs whose data differ by seed are left out.
    """
    found = [
        (run, task)
        for run in experiment.runs
        if seed_axis(run) is None
        for task in run.tasks
        if accepts(run, task)
    ]
    same = [(r, t) for r, t in found if (r.data, t.name) == (found[0][0].data, found[0][1].name)]
    return same[:MAX_RUNS]


def test_examples(run: Run, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `[n, H, W, C]` evenly spaced over the test data, and their labels `[n, ...]`."""
    streams = load_run_data(run).splits["test"].values()
    arrays = next(stream for stream in streams if task in stream)
    size = len(arrays[task])
    index = np.unique(np.linspace(0, size - 1, NUM_IMAGES).round().astype(int))
    return np.asarray(arrays["inputs"][index]), np.asarray(arrays[task][index])


def predict(run: Run, task: str, folder: RunDirectory, images: np.ndarray, why: str) -> Any:
    """A task's outputs on images, by the first seed's selected parameters, as host arrays.

    Args:
      run: a finished run.
      task: name of the task.
      folder: the run's folder.
      images: `[n, H, W, C]`.
      why: why the parameters are loaded, for the error message.

    Raises:
      BadInput: if the parameters are missing or damaged.
    """
    params, stats = load_first_seed(run, folder, task, why)
    apply = jax.jit(functools.partial(build_model(run).apply, train=False))
    outputs, _ = apply(params, stats, as_float(jnp.asarray(images)))
    return jax.device_get(outputs.logits[task])


def plot_grid(rows: Mapping[str, Sequence[Draw]], shape: tuple[int, int], right: float = 0.0):
    """A figure with a named row of panels for each entry.

    Args:
      rows: what each panel of a row draws, by the name of the row.
      shape: (H, W) of the images.
      right: width in inches of what stands on the right of the panels.
    """
    columns = max(map(len, rows.values()))
    width = (WIDTH - NAMES - right) / max(columns, 3)
    height = min(width * shape[0] / shape[1], max(LEAST, HEIGHT / len(rows)))
    room = NAMES - 0.1
    lines = int(height / LINE)
    names = [break_lines(shorten(name, 0.8 * lines * room, SMALL), room, SMALL) for name in rows]
    text = max(LINE * (name.count("\n") + 1) for name in names)
    figure = new_figure((max(height, text) + 0.07) * len(rows))
    figure.set_layout_engine("compressed", h_pad=0.03, w_pad=0.03)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, name, panels in zip(axes, names, rows.values(), strict=True):
        line[0].set_ylabel(name, fontsize=SMALL, rotation=0, ha="right", va="center")
        for axis, draw in zip(line, panels, strict=True):
            draw(axis)
            axis.set_xticks([])
            axis.set_yticks([])
    return figure


def color_patches(names: Sequence[str], colors: Sequence[Any]) -> dict[str, Any]:
    """Artists of a legend of colors, by name."""
    from matplotlib.patches import Patch

    return {name: Patch(color=color) for name, color in zip(names, colors, strict=True)}


def draw_image(image: np.ndarray, axis: Any) -> None:
    """Draws an image `[H, W, C]`; of more than three channels the first three."""
    gray = image.shape[-1] < 3
    shown = image[..., 0] if gray else image[..., :3]
    height, width = image.shape[:2]
    axis.imshow(shown, cmap="gray" if gray else None, extent=(0, width, height, 0))
