"""Writes `report.html`, a page that needs neither the network nor other files."""

import base64
import pathlib
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from mtl_jax.config.experiment import Experiment
from mtl_jax.html_report.environment import describe_environment
from mtl_jax.html_report.figure_images import figure_images
from mtl_jax.html_report.findings import findings
from mtl_jax.html_report.learning_curves import learning_curves
from mtl_jax.html_report.results import results
from mtl_jax.html_report.settings import settings
from mtl_jax.report import table
from mtl_jax.report.scores import collect
from mtl_jax.storage.files import write_text
from mtl_jax.storage.run_directory import RunDirectory

NAME = "report.html"
FOLDER = pathlib.Path(__file__).parent


class Subject(NamedTuple):
    """What a page is about.

    Attributes:
      name: name of the experiment.
      question: docstring of its file, in Markdown.
    """

    name: str
    question: str


def write(
    subject: Subject,
    experiment: Experiment,
    folders: Mapping[str, RunDirectory],
    root: pathlib.Path,
    failures: Mapping[str, str],
) -> None:
    """Writes the page, after `table.csv` and the figures, which it contains.

    Args:
      subject: name and question of the experiment.
      experiment: the finished rows.
      folders: their folders, by name.
      root: the folder of the page.
      failures: the rows that failed, and why.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    rows = collect(experiment, folders)
    title, _, question = subject.question.partition("\n")
    text = environment.get_template("template.html").render(
        name=subject.name,
        title=title or subject.name,
        question=html_of(question),
        style=(FOLDER / "style.css").read_text("utf-8"),
        tables_style=tables_file("css"),
        tables_script=tables_file("js"),
        findings=findings(experiment, rows),
        results=results(experiment, rows, failures),
        notes=html_of(table.notes(experiment, rows, folders, failures)),
        sections=html_of(table.sections(experiment, rows, folders)),
        csv=base64.b64encode((root / "table.csv").read_bytes()).decode(),
        failures=failures,
        warnings={row.run.name: row.warnings for row in rows if row.warnings},
        figures=figure_images(root),
        curves=learning_curves(experiment, folders),
        settings=settings(experiment),
        environment=describe_environment(rows, folders),
    )
    write_text(root / NAME, text)


def html_of(markdown: str) -> str:
    """Markdown as HTML; HTML in it is escaped."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)


def tables_file(ending: str) -> str:
    """The script or style of DataTables, as `itables` bundles it."""
    return (resources.files("itables") / "html" / f"dt_bundle.{ending}").read_text("utf-8")
