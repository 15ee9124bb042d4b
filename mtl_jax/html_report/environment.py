"""Where and how long the rows of a page were trained."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mtl_jax.report.provenance import describe_environments
from mtl_jax.report.scores import RunScores
from mtl_jax.storage.run_directory import RunDirectory


class Environment(NamedTuple):
    """The environments of the rows."""

    rows: dict[str, list[str]]  # by environment, the rows that were trained in it
    versions: dict[str, str]  # of the first row
    seconds: float  # of all rows


def describe_environment(
    rows: Sequence[RunScores], folders: Mapping[str, RunDirectory]
) -> Environment:
    """The environments, versions and time of the rows; rows put together of others count not."""
    names = [row.run.name for row in rows if row.run.name in folders]
    launches = [folders[name].read("run.json") for name in names]
    found: dict[str, list[str]] = {}
    for name, text in zip(names, describe_environments(launches), strict=True):
        found.setdefault(text, []).append(name)
    versions = {**launches[0]["versions"], "devices": launches[0].get("devices", "unknown")}
    seconds = sum(row.seconds for row in rows if row.run.name in folders)
    return Environment(found, versions, seconds)
