"""Figures of an experiment: curves, weights, gains, effects, affinities, trade-offs, predictions."""

import pathlib
from collections.abc import Mapping
from typing import Any

from mtl_jax.config.experiment import Experiment
from mtl_jax.report.affinity import affinity
from mtl_jax.report.attention_use import plot_attention_use
from mtl_jax.report.calibration import plot_calibration
from mtl_jax.report.class_predictions import predict_classes
from mtl_jax.report.confusion import plot_confusion
from mtl_jax.report.curves import curves
from mtl_jax.report.decision_boundary import plot_decision_boundaries
from mtl_jax.report.detections import plot_detections
from mtl_jax.report.effects import effects
from mtl_jax.report.embedding import plot_embedding
from mtl_jax.report.expert_use import plot_expert_use
from mtl_jax.report.gains import gains
from mtl_jax.report.label_maps import plot_label_maps
from mtl_jax.report.mistakes import plot_mistakes
from mtl_jax.report.pareto_front import plot_pareto_front
from mtl_jax.report.plotting import save
from mtl_jax.report.pseudo_label_classes import plot_pseudo_label_classes
from mtl_jax.report.pseudo_labels import plot_pseudo_labels
from mtl_jax.report.scores import collect
from mtl_jax.report.task_weights import balance
from mtl_jax.storage.run_directory import RunDirectory


def write(experiment: Experiment, folders: Mapping[str, RunDirectory], root: pathlib.Path) -> None:
    """Writes the figures of `draw` as PNG and PDF, and removes those that no longer apply."""
    for name, figure in draw(experiment, folders).items():
        path = root / name
        if figure is None:
            for ending in ("png", "pdf"):
                path.with_name(f"{name}.{ending}").unlink(missing_ok=True)
        else:
            save(figure, path)


def draw(experiment: Experiment, folders: Mapping[str, RunDirectory]) -> dict[str, Any]:
    """The figures of an experiment by name, each None if there is nothing to show."""
    rows = collect(experiment, folders)
    predictions = predict_classes(experiment, folders)
    return {
        "curves": curves(experiment, folders),
        "gains": gains(experiment, rows),
        "balance": balance(experiment, folders),
        "effects": effects(experiment, rows),
        "affinity": affinity(experiment, folders),
        "tradeoff": plot_pareto_front(experiment, rows),
        "pseudo_labels": plot_pseudo_labels(experiment, folders),
        "pseudo_label_classes": plot_pseudo_label_classes(experiment, folders),
        "confusion": plot_confusion(predictions),
        "calibration": plot_calibration(predictions),
        "embedding": plot_embedding(predictions, folders),
        "mistakes": plot_mistakes(predictions),
        "experts": plot_expert_use(experiment, folders),
        "attention": plot_attention_use(experiment, folders),
        "boundaries": plot_decision_boundaries(experiment, folders),
        "detections": plot_detections(experiment, folders),
        "maps": plot_label_maps(experiment, folders),
    }
