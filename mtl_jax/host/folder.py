"""A run's folder: whose it is, what was measured so far, and what came out."""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

from mtl_jax.checks import BadInput
from mtl_jax.host.files import free_name, write_json, write_text
from mtl_jax.identity import fingerprint, source_text
from mtl_jax.run import Run

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "mtl_jax")


class Folder:
    """Files of one run: `run.json`, `metrics.jsonl`, `checkpoints/`, `result.json`, `timing.json`."""

    def __init__(self, root: pathlib.Path, run: Run):
        self.run = run
        self.path = root / run.name
        self.checkpoints = self.path / "checkpoints"

    def check(self) -> None:
        """Refuses a folder that another run has written.

        Raises:
          BadInput: naming the fields in which the two runs differ.
        """
        if not self.path.exists():
            return
        there = self.read("run.json")
        if there is None:
            # A kill may have left the folder empty, or with the half of a file.
            if self.path.is_dir() and all(f.suffix == ".half" for f in self.path.iterdir()):
                return
            raise BadInput(f"{self.path} is no folder of a run; give --out another folder")
        mine = fingerprint(self.run)
        if there.get("fingerprint") != mine:
            old, new = there.get("fields", {}), fields_text(self.run)
            differ = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
            changes = "; ".join(f"{k}: {short(old.get(k))} -> {short(new.get(k))}" for k in differ)
            raise BadInput(
                f"{self.path} was written by another run (fingerprint "
                f"{there.get('fingerprint')}, now {mine}; {changes}); give --out another folder, "
                "or --fresh to set the old one aside"
            )

    def set_aside(self) -> None:
        """Renames the folder, so that the run begins anew and nothing is lost."""
        if self.path.exists():
            self.path.rename(free_name(self.path.with_name(f"{self.path.name}.old")))

    def claim(self) -> None:
        """Makes the folder the run's own."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self.read("run.json") is None:
            write_json(self.path / "run.json", about(self.run))

    def read(self, name: str) -> Any:
        """A JSON file of the folder, or None if it is not there.

        Raises:
          BadInput: if it holds no JSON.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError:
            raise BadInput(f"{path} is damaged; --fresh sets its run aside") from None

    def finished(self) -> bool:
        """Whether this very run has its result here."""
        there = self.read("run.json")
        mine = there is not None and there.get("fingerprint") == fingerprint(self.run)
        return mine and self.result() is not None

    def result(self) -> Any:
        """The result, or None if the run is not finished."""
        return self.read("result.json")

    def records(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """What was measured, up to a step.

        A line that a kill cut short can only be the last one, and is passed over.
        """
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
        records = [json.loads(line) for line in lines]
        return [r for r in records if up_to is None or r["step"] <= up_to]

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Drops what was measured after `step`, which will be measured again."""
        kept = self.records(step)
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(self.path / "metrics.jsonl", text)
        return kept

    def append(self, record: dict[str, Any]) -> None:
        """Adds one line of measurements, on disk when this returns."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def finish(self, result: dict[str, Any], timing: dict[str, Any]) -> None:
        """Writes what came out; the run is finished when `result.json` is there."""
        write_json(self.path / "timing.json", timing)
        write_json(self.path / "result.json", result)


def about(run: Run) -> dict[str, Any]:
    """What `run.json` says: the resolved run, its identity, and what it was run with."""
    return {
        "name": run.name,
        "fingerprint": fingerprint(run),
        "run": source_text(run),
        "fields": fields_text(run),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
        "git": commit(),
    }


def fields_text(run: Run) -> dict[str, str]:
    """Each field of a run as text."""
    return {f.name: source_text(getattr(run, f.name)) for f in dataclasses.fields(run)}


def short(text: str | None) -> str:
    """A text cut to a length that fits in a line."""
    text = str(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def commit() -> str | None:
    """The git commit of the code, with "+" if files are changed; None outside git."""
    here = pathlib.Path(__file__).parent
    ask = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=40"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
