"""Where and how long the rows of a page were trained."""

from collections.abc import Iterable
from typing import NamedTuple

from mtl_jax.report.provenance import describe_environments
from mtl_jax.storage.run_directory import RunDirectory


class Environment(NamedTuple):
    """The environments of the rows."""

    rows: dict[str, list[str]]  # by environment, the rows that were trained in it
    versions: dict[str, str]  # of the first row
    seconds: float  # of all rows


def describe_environment(folders: Iterable[RunDirectory]) -> Environment:
    """The environments, versions and time of finished rows."""
    folders = list(folders)
    launches = [folder.read("run.json") for folder in folders]
    found: dict[str, list[str]] = {}
    for folder, text in zip(folders, describe_environments(launches), strict=True):
        found.setdefault(text, []).append(folder.run.name)
    versions = {**launches[0]["versions"], "devices": launches[0].get("devices", "unknown")}
    return Environment(found, versions, sum(f.read("timing.json")["seconds"] for f in folders))
