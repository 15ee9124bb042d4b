"""What must be the same in two folders of results of one experiment."""

import pathlib

from mtl_jax.storage.checkpoint import CheckpointManager, digest
from mtl_jax.storage.sealed import read_sealed

TIMES = ("seconds", "compile seconds", "examples/s")  # Columns of tables.


def contents(out: pathlib.Path) -> dict[str, object]:
    """The names of all files, and what they say of measurements and parameters."""
    paths = {str(path.relative_to(out)): path for path in sorted(out.rglob("*"))}
    return {name: content(path) for name, path in paths.items() if not in_checkpoint(path)}


def in_checkpoint(path: pathlib.Path) -> bool:
    """Whether a path is inside a checkpoint, whose files have random names."""
    return "selected" in path.parts[:-1] or "checkpoints" in path.parts[:-2]


def content(path: pathlib.Path) -> object:
    """What a file or a folder says, None if it need not say the same."""
    if path.name in ("run.json", "timing.json"):  # The environment, and seconds.
        return None
    if path.suffix in (".json", ".jsonl", ".csv", ".png"):
        return path.read_bytes()
    if path.name == "table.md":
        return without_seconds(path.read_text(encoding="utf-8"))
    if path.name == "selected":
        return digest(read_sealed(path))
    if path.name == "checkpoints":
        manager = CheckpointManager(path, print)
        return {step: digest(manager.load(step)) for step in manager.steps()}
    return None


def without_seconds(text: str) -> list[list[str]]:
    """The lines of a table in Markdown and of what is below, split into cells but for times."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    kept = [place for place, heading in enumerate(lines[0]) if heading not in TIMES]
    return [
        [line[place] for place in kept] if len(line) == len(lines[0]) else line for line in lines
    ]
