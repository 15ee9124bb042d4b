"""Run directories: the metadata, measurements and result of a run."""

import functools
import hashlib
import json
import math
import os
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.protocols import TableRow
from mtl_jax.core.schema import SCHEMA, require_schema
from mtl_jax.core.validation import BadInput
from mtl_jax.storage.environment import conditions, differ
from mtl_jax.storage.files import read_json, unused_path, write_json, write_text
from mtl_jax.storage.processes import is_first
from mtl_jax.storage.run_metadata import due_steps, require_fingerprint, run_metadata

Row = TypeVar("Row", bound=TableRow)  # Only a `Run` has checkpoints and measurements by step.


FILES = {"metrics.jsonl", "checkpoints", "selected", "result.json", "timing.json"}

# Entries that code relies on, if they are there.
KINDS = {
    "run.json": {"fields": dict, "history": list, "runs": dict},
    "result.json": {"labels": dict, "warnings": list},
}


class Damaged(BadInput):
    """Files in the folder of a row cannot be used."""


class RunDirectory(Generic[Row]):
    """Files of one row: `run.json`, `metrics.jsonl`, `checkpoints/`, `result.json`, `timing.json`.

    If several processes train it, `append`, `write_result` and `write_failure` write in the first
    one only, which alone may call the other methods that write.

    A row that failed has `failure.json`, and if a number was not finite `failure.npz`.
    """

    def __init__(self, root: pathlib.Path, run: Row):
        self.run = run
        self.path = root / run.name
        self.checkpoints = self.path / "checkpoints"

    @functools.cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the run."""
        return fingerprint(self.run)

    def check(self) -> None:
        """Rejects a folder that was written by another run, or whose files are damaged.

        Raises:
          Damaged: naming the file and a command that moves the folder away.
          BadInput: naming the fields in which the two runs differ.
        """
        if not self.path.exists():
            return
        for path in (self.path, self.checkpoints):
            if path.exists() and not path.is_dir():
                raise self.damaged(path, "is no folder")
        metadata = self.read("run.json")
        if metadata is None:
            names = {file.name for file in self.path.iterdir()}
            if names & FILES:
                raise self.damaged(self.path / "run.json", "is missing")
            # A killed process may have left the folder empty, or with a partial file, a full disk
            # without room for `run.json`.
            if all(name.endswith(".half") or name == "failure.json" for name in names):
                return
            raise BadInput(f"{self.path} is no folder of a run; give --out another folder")
        require_schema(metadata, self.path / "run.json")
        require_fingerprint(self.path, metadata, self.run, self.fingerprint)
        result = self.result()
        if result is None:
            return
        if not isinstance((self.read("timing.json") or {}).get("seconds"), int | float):
            raise self.damaged(self.path / "timing.json", "has no seconds")
        if not isinstance(self.run, Run):
            return
        last = result.get("last_step")  # It may stop early.
        if not isinstance(last, int | None):
            raise self.damaged(self.path / "result.json")
        steps = due_steps(self.run, last)
        if [record["step"] for record in self.records()] != steps:
            rule = "must have every evaluation of its finished run once"
            raise self.damaged(self.path / "metrics.jsonl", rule)

    def damaged(self, path: pathlib.Path, fault: str = "is damaged") -> Damaged:
        """The error for a file of the folder, with what to do."""
        aside = unused_path(self.path.with_name(f"{self.path.name}.old"))
        options = ["--"] if str(self.path).startswith("-") else []
        command = shlex.join(["mv", *options, str(self.path), str(aside)])
        return Damaged(f"{path} {fault}; to train this run again: {command}")

    def failure(self) -> str | None:
        """Why this run failed in an earlier launch; None if it did not, or is another run."""
        path = self.path / "failure.json"
        if not path.exists() or (self.path / "result.json").exists():
            return None
        try:
            found = read_json(path) or {}
        except BadInput:
            return f"{self.run.name!r} failed, and its {path.name} is damaged"
        return found.get("reason") if found.get("run") == self.fingerprint else None

    def write_failure(self, reason: str) -> None:
        """Records that the run failed."""
        if not is_first():
            return
        write_json(self.path / "failure.json", {"run": self.fingerprint, "reason": reason})

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
          Damaged: if it is not a JSON object, or an entry of `KINDS` is of another kind.
        """
        try:
            found = read_json(self.path / name)
        except BadInput:
            raise self.damaged(self.path / name) from None
        present = {} if found is None else found
        if any(not isinstance(present.get(n, k()), k) for n, k in KINDS.get(name, {}).items()):
            raise self.damaged(self.path / name)
        return found

    def is_finished(self) -> bool:
        """Whether the folder contains the result of this run.

        Raises:
          Damaged: if `run.json` or `result.json` is damaged.
        """
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
          Damaged: if a line is not a measurement.
        """
        try:
            records = [json.loads(line) for line in self.lines()]
            return [r for r in records if r["step"] <= (math.inf if up_to is None else up_to)]
        except (ValueError, TypeError, KeyError):
            raise self.damaged(self.path / "metrics.jsonl") from None

    def records_digest(self: "RunDirectory[Run]", step: int) -> str | None:
        """SHA-256 of the lines up to a step; None if one is missing, duplicated or invalid."""
        steps = due_steps(self.run, step)
        try:
            lines = self.lines()[: len(steps)]
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
        if not is_first():
            return
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def write_result(self, result: dict[str, Any], timing: dict[str, Any]) -> None:
        """Writes timing and result; the run is finished once `result.json` exists."""
        if not is_first():
            return
        write_json(self.path / "timing.json", timing)
        write_json(self.path / "result.json", {"schema": SCHEMA, **result})
        for name in ("failure.json", "failure.npz"):
            (self.path / name).unlink(missing_ok=True)
