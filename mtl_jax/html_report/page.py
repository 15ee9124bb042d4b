"""The parts of a page, and its file: HTML that needs neither the network nor other files."""

import base64
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NamedTuple

from mtl_jax.html_report.environment import Environment
from mtl_jax.html_report.figure_images import figure_images
from mtl_jax.html_report.findings import Findings
from mtl_jax.html_report.learning_curves import NO_CURVES, Curves
from mtl_jax.html_report.results import PageTable
from mtl_jax.html_report.settings import Settings
from mtl_jax.storage.files import write_text

NAME = "report.html"
FOLDER = pathlib.Path(__file__).parent


class Page(NamedTuple):
    """The parts of a page; texts are Markdown.

    Attributes:
      question: docstring of the experiment's file.
      results: the table.
      notes: notes on the table.
      failures: the rows that failed, and why.
      settings: the settings of the rows.
      environment: where and how long the rows were trained.
      findings: the best rows, if rows are compared.
      sections: further sections below the table.
      warnings: warnings by row.
      curves: learning curves.
    """

    question: str
    results: PageTable
    notes: str
    failures: Mapping[str, str]
    settings: Settings
    environment: Environment
    findings: Findings | None = None
    sections: str = ""
    warnings: Mapping[str, Sequence[str]] = {}
    curves: Curves = NO_CURVES


def write_page(page: Page, root: pathlib.Path) -> None:
    """Writes the page in a folder, with the figures and the `table.csv` that are there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    title, _, question = page.question.partition("\n")
    table = root / "table.csv"
    text = environment.get_template("template.html").render(
        **page._asdict()
        | {
            "name": root.name,
            "title": title or root.name,
            "question": html_of(question),
            "notes": html_of(page.notes),
            "sections": html_of(page.sections),
            "csv": base64.b64encode(table.read_bytes()).decode() if table.is_file() else "",
            "figures": figure_images(root),
            "style": (FOLDER / "style.css").read_text(encoding="utf-8"),
            "tables_style": tables_file("css"),
            "tables_script": tables_file("js"),
        },
    )
    write_text(root / NAME, text)


def html_of(markdown: str) -> str:
    """Markdown as HTML; HTML in it is escaped."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)


def tables_file(ending: str) -> str:
    """The script or style of DataTables, as `itables` bundles it."""
    return (resources.files("itables") / "html" / f"dt_bundle.{ending}").read_text(encoding="utf-8")
