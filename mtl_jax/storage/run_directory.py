"""Run directories: the metadata, measurements and result of a run."""

import dataclasses
import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from mtl_jax.config.replace import RunGroup
from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.protocols import TableRow
from mtl_jax.core.schema import SCHEMA, require_schema
from mtl_jax.core.validation import BadInput
from mtl_jax.storage.environment import conditions, differ
from mtl_jax.storage.files import read_json, unused_path, write_json, write_text

Row = TypeVar("Row", bound=TableRow)  # Only a `Run` has checkpoints and measurements by step.


class RunDirectory(Generic[Row]):
    """Files of one row: `run.json`, `metrics.jsonl`, `checkpoints/`, `result.json`, `timing.json`."""

    def __init__(self, root: pathlib.Path, run: Row):
        self.run = run
        self.path = root / run.name
        self.checkpoints = self.path / "checkpoints"

    @functools.cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the run."""
        return fingerprint(self.run)

    def check(self) -> None:
        """Rejects a folder that was written by another run, or that has lost measurements.

        Raises:
          BadInput: naming the fields in which the two runs differ.
        """
        if not self.path.exists():
            return
        metadata = self.read("run.json")
        if metadata is None:
            # A killed process may have left the folder empty, or with a partial file.
            if self.path.is_dir() and all(f.suffix == ".half" for f in self.path.iterdir()):
                return
            raise BadInput(f"{self.path} is no folder of a run; give --out another folder")
        require_schema(metadata, self.path / "run.json")
        require_fingerprint(self.path, metadata, self.run, self.fingerprint)
        result = self.result()
        if result is None or not isinstance(self.run, Run):
            return
        steps = due_steps(self.run, result.get("last_step"))  # It may stop early.
        if [record["step"] for record in self.records()] != steps:
            raise BadInput(
                f"{self.path / 'metrics.jsonl'} must have every evaluation of its finished run "
                "once; --fresh sets the run aside and trains it again"
            )

    def archive(self) -> None:
        """Renames the folder, so that the run starts again and nothing is lost."""
        if self.path.exists():
            self.path.rename(unused_path(self.path.with_name(f"{self.path.name}.old")))

    def create(self, facts: Mapping[str, Any] | None = None) -> None:
        """Creates the folder and its `run.json`, unless they exist.

        Args:
          facts: additional entries of `run.json`, such as the digest of the data.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self.read("run.json") is None:
            environment = conditions()
            metadata = {
                **run_metadata(self.run),
                **environment,
                **(facts or {}),
                "history": [{"step": 0, **environment}],
            }
            write_json(self.path / "run.json", metadata)

    def add_history(self, step: int) -> None:
        """Records in the history of `run.json` the environment that resumes from a step.

        Later steps are trained again, so later history entries are dropped.
        """
        metadata, environment = self.read("run.json"), conditions()
        first = {"step": 0, **{k: metadata[k] for k in environment if k in metadata}}
        history = [entry for entry in metadata.get("history", [first]) if entry["step"] < step]
        if not history or differ(history[-1], environment):
            history.append({"step": step, **environment})
        if history != metadata.get("history"):
            first = {name: history[0][name] for name in environment if name in history[0]}
            write_json(self.path / "run.json", {**metadata, **first, "history": history})

    def read(self, name: str) -> Any:
        """Reads a JSON file of the folder; None if it does not exist.

        Raises:
          BadInput: if it is not valid JSON.
        """
        return read_json(self.path / name)

    def is_finished(self) -> bool:
        """Whether the folder contains the result of this run."""
        metadata = self.read("run.json")
        same_run = metadata is not None and metadata.get("fingerprint") == self.fingerprint
        return same_run and self.result() is not None

    def result(self) -> Any:
        """The result, or None if the run is not finished.

        Raises:
          BadInput: if it has another schema version.
        """
        result = self.read("result.json")
        require_schema(result, self.path / "result.json")
        return result

    def lines(self) -> list[str]:
        """The complete lines of `metrics.jsonl`, without a truncated last line."""
        path = self.path / "metrics.jsonl"
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []

    def records(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Measurements up to a step.

        Raises:
          BadInput: if a line is not a measurement.
        """
        try:
            records = [json.loads(line) for line in self.lines()]
            return [r for r in records if r["step"] <= (math.inf if up_to is None else up_to)]
        except (ValueError, TypeError, KeyError):
            path = self.path / "metrics.jsonl"
            raise BadInput(f"{path} is damaged; --fresh sets its run aside") from None

    def records_digest(self: "RunDirectory[Run]", step: int) -> str | None:
        """SHA-256 of the lines up to a step; None if one is missing, duplicated or invalid."""
        steps = due_steps(self.run, step)
        lines = self.lines()[: len(steps)]
        try:
            complete = [json.loads(line)["step"] for line in lines] == steps
        except (ValueError, TypeError, KeyError):
            return None
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if complete else None

    def truncate(self: "RunDirectory[Run]", step: int) -> list[dict[str, Any]]:
        """Drops the measurements after `step`, which will be repeated."""
        lines = self.lines()[: len(due_steps(self.run, step))]
        write_text(self.path / "metrics.jsonl", "".join(f"{line}\n" for line in lines))
        return [json.loads(line) for line in lines]

    def set_progress_aside(self) -> list[str]:
        """Sets measurements and checkpoints aside, and returns their new names."""
        aside = []
        for path in (self.path / "metrics.jsonl", self.checkpoints):
            if path.exists():
                aside.append(unused_path(path.with_name(f"{path.name}.old")))
                path.rename(aside[-1])
        return [path.name for path in aside]

    def append(self, record: dict[str, Any]) -> None:
        """Appends one line of measurements and flushes it to disk."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def write_result(self, result: dict[str, Any], timing: dict[str, Any]) -> None:
        """Writes timing and result; the run is finished once `result.json` exists."""
        write_json(self.path / "timing.json", timing)
        write_json(self.path / "result.json", {"schema": SCHEMA, **result})


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
        "--out another folder, or --fresh to set the old one aside"
    )


def fields_text(run: Any) -> dict[str, str]:
    """Each field of a run as a string, those of its groups by dotted names."""
    texts = {}
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        if isinstance(value, RunGroup):
            texts |= {f"{field.name}.{name}": text for name, text in fields_text(value).items()}
        else:
            texts[field.name] = to_source(value)
    return texts


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
