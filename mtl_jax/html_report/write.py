"""Writes `report.html` of an experiment's finished rows."""

import pathlib
from collections.abc import Mapping

from mtl_jax.config.experiment import Experiment
from mtl_jax.html_report.environment import describe_environment
from mtl_jax.html_report.findings import findings
from mtl_jax.html_report.learning_curves import learning_curves
from mtl_jax.html_report.page import Page, write_page
from mtl_jax.html_report.results import results
from mtl_jax.html_report.settings import settings
from mtl_jax.report import table
from mtl_jax.report.scores import collect
from mtl_jax.storage.run_directory import RunDirectory


def write(
    question: str,
    experiment: Experiment,
    folders: Mapping[str, RunDirectory],
    root: pathlib.Path,
    failures: Mapping[str, str],
) -> None:
    """Writes the page, after the table and the figures, which it contains.

    Args:
      question: docstring of the experiment's file, in Markdown.
      experiment: the finished rows.
      folders: their folders, by name.
      root: the folder of the page.
      failures: the rows that failed, and why.
    """
    rows = collect(experiment, folders)
    page = Page(
        question=question,
        results=results(experiment, rows, failures),
        notes=table.notes(experiment, rows, folders, failures),
        failures=failures,
        settings=settings((*experiment.runs, *experiment.sklearn_baselines)),
        environment=describe_environment(folders.values()),
        findings=findings(experiment, rows),
        sections=table.sections(experiment, rows, folders),
        warnings={row.run.name: row.warnings for row in rows if row.warnings},
        curves=learning_curves(experiment, folders),
    )
    write_page(page, root)
