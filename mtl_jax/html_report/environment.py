"""Where, how long and how fast the rows of a page were trained."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mtl_jax.report.provenance import describe_environments
from mtl_jax.storage.run_directory import RunDirectory


class Speed(NamedTuple):
    """How fast a run was trained; "-" if it is unknown."""

    row: str
    devices: str
    seconds: str
    compile_seconds: str
    examples_per_second: str


class Environment(NamedTuple):
    """The environments of the rows."""

    rows: dict[str, list[str]]  # by environment, the rows that were trained in it
    versions: dict[str, str]  # of the first row
    seconds: float  # of all rows
    speeds: list[Speed]  # of the runs that stored it


def describe_environment(folders: Iterable[RunDirectory]) -> Environment:
    """The environments, versions and time of finished rows."""
    folders = list(folders)
    launches = [folder.read("run.json") for folder in folders]
    found: dict[str, list[str]] = {}
    for folder, text in zip(folders, describe_environments(launches), strict=True):
        found.setdefault(text, []).append(folder.run.name)
    versions = {**launches[0]["versions"], "devices": launches[0].get("devices", "unknown")}
    timings = [folder.read("timing.json") for folder in folders]
    speeds = [
        speed_of(folder.run.name, launch, timing)
        for folder, launch, timing in zip(folders, launches, timings, strict=True)
        if "compile_seconds" in timing
    ]
    return Environment(found, versions, sum(timing["seconds"] for timing in timings), speeds)


def speed_of(name: str, launch: Mapping[str, Any], timing: Mapping[str, Any]) -> Speed:
    """Formats how fast a run was trained, from its `run.json` and `timing.json`."""
    rate = timing["examples_per_second"]
    return Speed(
        name,
        launch.get("history", [{}])[-1].get("devices", "-"),  # Older results lack them.
        f"{timing['seconds']:.0f}",
        f"{timing['compile_seconds']:.0f}",
        "-" if rate is None else f"{rate:,.0f}",
    )
