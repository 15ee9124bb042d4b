"""Notes on rows of a table that come from different code versions or environments."""

import collections
from collections.abc import Iterable
from typing import Any

from mtl_jax.storage.run_directory import RunDirectory

NAMED = ("jax", "jaxlib", "mtl_jax")  # Versions covered by `code_version`.


def provenance_note(folders: Iterable[RunDirectory]) -> str:
    """Describes the commits, versions and devices of the finished rows; "" if all agree.

    Rows that were resumed in another environment are named, and rows that do not record their
    data are counted.
    """
    abouts = [folder.read("run.json") for folder in folders if folder.finished()]
    counted = collections.Counter(told_apart(abouts))
    text = ""
    if len(counted) > 1:
        parts = [f"{name} ({count})" for name, count in counted.most_common()]
        text = f" Rows come from several states of the code: {'; '.join(parts)}."
    for about in abouts:
        history = about.get("history", [])
        if len(history) > 1:
            first, *rest = told_apart(history)
            later = zip(rest, history[1:], strict=True)
            parts = [f"from step {one['step']} with {name}" for name, one in later]
            text += f" {about['name']} began with {first}, and went on {', '.join(parts)}."
    old = sum("history" not in about for about in abouts)
    if old:
        text += f" Of {old} older rows it was not kept what data they were trained on."
    return text


def told_apart(abouts: list[dict[str, Any]]) -> list[str]:
    """Describes the environment of each launch, restricted to what distinguishes them.

    Entries missing from older results count as equal.
    """
    every = [details(about) for about in abouts]
    found: dict[str, set[str]] = collections.defaultdict(set)
    for name, value in (pair for each in every for pair in each.items()):
        found[name].add(value)
    shown = [name for name, values in found.items() if len(values) > 1]
    codes = {
        (code_version(about), each.get("code")) for about, each in zip(abouts, every, strict=True)
    }
    if len(codes) == len({name for name, _ in codes}):
        shown = [name for name in shown if name != "code"]  # The commit determines it.
    return [
        ", ".join(
            [code_version(about), *(f"{name} {each[name]}" for name in shown if name in each)]
        )
        for about, each in zip(abouts, every, strict=True)
    ]


def details(about: dict[str, Any]) -> dict[str, str]:
    """Environment of a row in addition to `code_version`."""
    found = {name: text for name, text in about["versions"].items() if name not in NAMED}
    found |= {"code": about["code"][:8]} if "code" in about else {}
    return found | ({"on": about["devices"]} if "devices" in about else {})


def code_version(about: dict[str, Any]) -> str:
    """Code and JAX version of one row as a string; "+" marks uncommitted changes."""
    versions, commit = about["versions"], about["git"]
    code = f"version {versions['mtl_jax']}"
    if commit is not None:
        code = commit[:8] + "+" * commit.endswith("+")
    return f"{code} with JAX {versions['jax']}"
