"""Figure of features in the plane, by principal components and t-SNE."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.data import Domains
from mtl_jax.report.class_names import class_names
from mtl_jax.report.class_predictions import ClassPredictions, predict_run
from mtl_jax.report.plotting import (
    GRAY,
    MARKERS,
    SMALL,
    add_legend,
    colors_of,
    new_figure,
    paper_figure,
)
from mtl_jax.report.text_size import break_lines
from mtl_jax.storage.run_directory import RunDirectory

MAX_ROWS = 3
MAX_POINTS = 300
ITERATIONS = 350  # Of t-SNE.
HEIGHT = 1.7  # Inches of a panel.


class Points(NamedTuple):
    """Features of one row of panels."""

    name: str
    parts: dict[str, ClassPredictions]  # by task or domain, each with a marker of its own


@paper_figure
def plot_embedding(predictions: Sequence[ClassPredictions], folders: Mapping[str, RunDirectory]):
    """Features of at most 300 test examples in the plane, colored by class, of the first runs.

    Left the first two principal components, right t-SNE. Tasks with the same classes and inputs of
    their own share a panel, each with its marker, up to eight. Runs with several domains show the
    validation data, which are of labelled domains, beside the test data of the target. Runs with
    the most tasks come first. None without predictions of classes of whole inputs.
    """
    from threadpoolctl import threadpool_limits

    rows = [each for each in points_of(predictions, folders) if is_finite(each)]
    if not rows:
        return None
    names = [name for row in rows for part in row.parts.values() for name in names_of(part)]
    colors = colors_of(list(dict.fromkeys(names)))
    figure = new_figure(HEIGHT * len(rows) + 0.2)
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for row, (left, right) in zip(rows, axes, strict=True):
        parts = [thinned(part, MAX_POINTS // len(row.parts)) for part in row.parts.values()]
        features = np.concatenate([part.features for part in parts]).astype(float)
        with threadpool_limits(1):  # Threads that wait for each other take ten times as long.
            plane = principal_components(features)
            neighbors = neighbors_embedding(features, plane)
        for axis, points in ((left, plane), (right, neighbors)):
            draw_points(axis, points, parts, colors)
        left.set_ylabel(break_lines(row.name, HEIGHT - 0.1, SMALL), fontsize=SMALL)
    axes[0, 0].set_title("principal components")
    axes[0, 1].set_title("t-SNE")
    add_legend(figure, legend_entries(rows, colors))
    return figure


def points_of(
    predictions: Sequence[ClassPredictions], folders: Mapping[str, RunDirectory]
) -> list[Points]:
    """What the rows of panels show."""
    by_run: dict[str, list[ClassPredictions]] = {}
    for each in predictions:
        if each.labels.ndim == 1:
            by_run.setdefault(each.run.name, []).append(each)
    rows: list[Points] = []
    for name, own in sorted(by_run.items(), key=lambda item: -len(item[1])):
        if len(rows) >= MAX_ROWS:
            break
        if isinstance(own[0].run.data, Domains):
            sources = {
                each.task.name: each
                for each in predict_run(own[0].run, folders[name], "validation")
            }
            rows += [
                Points(
                    f"{name}, {each.task.name}",
                    {"labelled domains": sources[each.task.name], "target domain": each},
                )
                for each in own
                if each.task.name in sources
            ]
        elif len(own) > 1 and are_domains(own):
            rows.append(Points(name, {each.task.name: each for each in own[: len(MARKERS)]}))
        else:
            rows += [Points(f"{name}, {each.task.name}", {each.task.name: each}) for each in own]
    return rows[:MAX_ROWS]


def are_domains(predictions: Sequence[ClassPredictions]) -> bool:
    """Whether tasks have the same classes, and each has inputs of its own."""
    names = {tuple(names_of(each)) for each in predictions}
    return len(names) == 1 and len({id(each.inputs) for each in predictions}) == len(predictions)


def names_of(predictions: ClassPredictions) -> list[str]:
    """The names of the classes."""
    return class_names(predictions.run, predictions.task)


def is_finite(row: Points) -> bool:
    """Whether there are enough examples and their features are numbers."""
    features = [part.features for part in row.parts.values()]
    return sum(map(len, features)) > 10 and all(np.isfinite(each).all() for each in features)


def thinned(predictions: ClassPredictions, most: int) -> ClassPredictions:
    """The features and labels of evenly spaced examples, at most a number of them."""
    size = len(predictions.labels)
    index = np.linspace(0, size - 1, min(size, most)).round().astype(int)
    return predictions._replace(
        features=predictions.features[index], labels=predictions.labels[index]
    )


def principal_components(features: np.ndarray) -> np.ndarray:
    """Coordinates `[N, 2]` of features `[N, D]` along the directions of most variance."""
    centered = features - features.mean(0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    plane = (left * values)[:, :2]
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def neighbors_embedding(features: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Coordinates `[N, 2]` of features `[N, D]` by t-SNE, from their principal components.

    Reference: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008.
    """
    from sklearn.manifold import TSNE

    start = 1e-4 * plane / max(plane[:, 0].std(), 1e-12)
    perplexity = min(30.0, (len(features) - 1) / 3.0)
    method = TSNE(init=start, perplexity=perplexity, max_iter=ITERATIONS, random_state=0)
    return method.fit_transform(features)


def draw_points(
    axis: Any, points: np.ndarray, parts: Sequence[ClassPredictions], colors: Mapping[str, Any]
) -> None:
    """Draws the points of each part with its marker, in the colors of their classes."""
    start = 0
    for part, marker in zip(parts, MARKERS, strict=False):
        own = points[start : start + len(part.labels)]
        by_class = [colors[name] for name in names_of(part)]
        axis.scatter(
            *own.T,
            s=5,
            lw=0,
            marker=marker,
            alpha=0.8,
            c=[by_class[label] for label in part.labels],
        )
        start += len(part.labels)
    axis.set_xticks([])
    axis.set_yticks([])


def legend_entries(rows: Sequence[Points], colors: Mapping[str, Any]) -> dict[str, Any]:
    """Artists for the classes, and for the markers where a row has several."""
    from matplotlib.lines import Line2D

    def dot(marker: str, color: Any) -> Any:
        return Line2D([], [], ls="", marker=marker, ms=4, mew=0, color=color)

    parts = [zip(row.parts, MARKERS, strict=False) for row in rows if len(row.parts) > 1]
    return {f"class {name}": dot("o", color) for name, color in colors.items()} | {
        name: dot(marker, GRAY) for pairs in parts for name, marker in pairs
    }
