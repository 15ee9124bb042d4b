"""Compares two folders of results from the command line."""

import pathlib

from mtl_jax.report.compare import compare
from mtl_jax.report.comparison_table import comparison_markdown, write


def launch(first: pathlib.Path, second: pathlib.Path, out: pathlib.Path | None) -> int:
    """Prints the table of a comparison, and writes it to a folder if given; returns 0."""
    comparison = compare(first, second)
    print(comparison_markdown(comparison), end="")
    if out is not None:
        write(comparison, out)
    return 0
