"""The metadata of a run: its settings as text, and in which settings two runs differ."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from mtl_jax.config.replace import RunGroup
from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.protocols import TableRow
from mtl_jax.core.schema import SCHEMA
from mtl_jax.core.validation import BadInput


def run_metadata(run: TableRow) -> dict[str, Any]:
    """Entries of `run.json` that describe the run: its resolved fields and its fingerprint."""
    return {
        "schema": SCHEMA,
        "name": run.name,
        "fingerprint": fingerprint(run),
        "run": to_source(run),
        "fields": fields_text(run),
    }


def require_fingerprint(path: pathlib.Path, metadata: dict, run: TableRow, own: str) -> None:
    """Requires that `run.json` has a run's fingerprint, and so its settings.

    Raises:
      BadInput: naming the fields that differ, if both are of one version.
    """
    found = str(metadata.get("fingerprint"))
    if found == own:
        return
    differences = changes(metadata.get("fields", {}), fields_text(run))
    if found.partition("-")[0] != own.partition("-")[0]:
        differences = "another version of mtl_jax, whose settings have other names"
    raise BadInput(
        f"{path} was written by another run (fingerprint {found}, now {own}; {differences}); give "
        "--out another folder, or --fresh to set the old one aside, with --only for this run alone"
    )


def fields_text(run: Any) -> dict[str, str]:
    """Each field of a run as a string, those of its groups by dotted names."""
    return {name: to_source(value) for name, value in flat_fields(run).items()}


def flat_fields(run: Any) -> dict[str, Any]:
    """The fields of a run, those of its groups by dotted names."""
    fields = {}
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        if isinstance(value, RunGroup):
            fields |= {f"{field.name}.{name}": each for name, each in flat_fields(value).items()}
        else:
            fields[field.name] = value
    return fields


def due_steps(run: Run, up_to: int | None = None) -> list[int]:
    """The steps after which a run is evaluated, up to a given step."""
    last = run.steps if up_to is None else up_to
    steps = list(range(run.evaluation.every, last + 1, run.evaluation.every))
    return [*steps, last] if last == run.steps and last not in steps[-1:] else steps


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Lists the fields in which two runs differ, each from its first difference."""
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return "; ".join(change(name, str(old.get(name)), str(new.get(name))) for name in names)


def change(name: str, old: str, new: str) -> str:
    """A field's old and new value as strings, without their common prefix if they are long."""
    pairs = zip(old, new, strict=False)
    first = next((place for place, (a, b) in enumerate(pairs) if a != b), 0)
    start = max(0, first - 30) if max(len(old), len(new)) > 60 else 0
    return f"{name}: {truncate_text(old, start)} -> {truncate_text(new, start)}"


def truncate_text(text: str, start: int = 0) -> str:
    """Truncates a string to fit in a line, starting at a position."""
    text = f"...{text[start:]}" if start else text
    return text if len(text) <= 60 else f"{text[:57]}..."
