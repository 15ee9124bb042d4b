"""Notes on rows of a table that come from different code versions or environments."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtl_jax.storage.run_directory import RunDirectory

CODE_LIBRARIES = ("jax", "jaxlib", "mtl_jax")  # Versions covered by `code_version`.


def devices_note(folders: Iterable[RunDirectory]) -> str:
    """The devices that finished rows were trained on last, with numbers of rows if they differ."""
    launches = [folder.read("run.json") for folder in folders if folder.is_finished()]
    last = [launch.get("history", [launch])[-1] for launch in launches]
    counts = collections.Counter(entry["devices"] for entry in last if "devices" in entry)
    if len(counts) == 1:
        return f" Trained on {next(iter(counts))}."
    parts = [f"{name} ({count})" for name, count in counts.most_common()]
    return f" Trained on {', '.join(parts)}." if parts else ""


def provenance_note(folders: Iterable[RunDirectory]) -> str:
    """Describes the commits, versions and devices of the finished rows; "" if all agree.

    Rows that were resumed in another environment are named, and rows that do not record their
    data are counted.
    """
    launches = [folder.read("run.json") for folder in folders if folder.is_finished()]
    counts = collections.Counter(describe_environments(launches))
    text = ""
    if len(counts) > 1:
        parts = [f"{name} ({count})" for name, count in counts.most_common()]
        text = f" Rows come from several states of the code: {'; '.join(parts)}."
    for launch in launches:
        history = launch.get("history", [])
        if len(history) > 1:
            first, *rest = describe_environments(history)
            later = zip(rest, history[1:], strict=True)
            parts = [f"from step {entry['step']} with {name}" for name, entry in later]
            text += f" {launch['name']} began with {first}, and went on {', '.join(parts)}."
    old = sum("history" not in launch for launch in launches)
    if old:
        text += f" Of {old} older rows it was not kept what data they were trained on."
    return text


def describe_environments(launches: Sequence[Mapping[str, Any]]) -> list[str]:
    """Describes the environment of each launch, restricted to what distinguishes them.

    Entries missing from older results count as equal.
    """
    versions = list(map(code_version, launches))
    environments = list(map(details, launches))
    values: dict[str, set[str]] = collections.defaultdict(set)
    for environment in environments:
        for name, value in environment.items():
            values[name].add(value)
    shown = [name for name in values if len(values[name]) > 1]
    codes = {(v, e.get("code")) for v, e in zip(versions, environments, strict=True)}
    if len(codes) == len(set(versions)):
        shown = [name for name in shown if name != "code"]  # The commit determines it.
    return [
        ", ".join([version, *(f"{name} {env[name]}" for name in shown if name in env)])
        for version, env in zip(versions, environments, strict=True)
    ]


def details(launch: Mapping[str, Any]) -> dict[str, str]:
    """Environment of a row in addition to `code_version`."""
    found = {name: v for name, v in launch["versions"].items() if name not in CODE_LIBRARIES}
    found |= {"code": launch["code"][:8]} if "code" in launch else {}
    return found | ({"on": launch["devices"]} if "devices" in launch else {})


def code_version(launch: Mapping[str, Any]) -> str:
    """Code and JAX version of one row as a string; "+" marks uncommitted changes."""
    versions, commit = launch["versions"], launch["git"]
    code = f"version {versions['mtl_jax']}"
    if commit is not None:
        code = commit[:8] + "+" * commit.endswith("+")
    return f"{code} with JAX {versions['jax']}"
