"""The files of reference values, and the names of methods that they speak of."""

import json
import pathlib

OWN = pathlib.Path(__file__).parent


def read(directory: pathlib.Path) -> dict[str, dict]:
    """Every file of a directory, by name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}


def names(files: list[dict]) -> set[str]:
    """The methods that some files have values of."""
    return {name for file in files for name in file["expected"]}
