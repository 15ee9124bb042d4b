"""The settings of a page's rows: all of the first, of the others how they differ from it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.protocols import TableRow
from mtl_jax.storage.run_metadata import change, fields_text, truncate_text


class Settings(NamedTuple):
    """The settings of the rows."""

    first: str  # name of the first row
    fields: dict[str, str]  # of the first row
    changes: dict[str, list[str]]  # by row, a line for each field that differs


def settings(rows: Sequence[TableRow]) -> Settings:
    """The settings of rows."""
    first, *others = rows
    changes = {row.name: differences(first, row) for row in others}
    return Settings(first.name, fields_text(first), changes)


def differences(first: TableRow, row: TableRow) -> list[str]:
    """How a row differs from the first, a line for each task that only one has, and each field.

    A task that the first row lacks is compared with the first of its tasks. Of a row of another
    kind, a line for each field.
    """
    if type(row) is not type(first):
        return [f"{name}: {truncate_text(text)}" for name, text in run_fields(row).items()]
    old, new = tasks_of(first), tasks_of(row)
    lines = [f"without the task {name}" for name in old if name not in new]
    lines += [f"with the task {name}" for name in new if name not in old]
    for name, task in new.items():
        lines += field_changes(
            task_fields(name, old.get(name, next(iter(old.values())))), task_fields(name, task)
        )
    return lines + field_changes(run_fields(first), run_fields(row))


def tasks_of(row: TableRow) -> dict[str, Task]:
    """The tasks of a run by name; empty for a toy run."""
    return {task.name: task for task in row.tasks} if isinstance(row, Run) else {}


def run_fields(row: TableRow) -> dict[str, str]:
    """The fields of a row, except its name and tasks."""
    return {k: text for k, text in fields_text(row).items() if k not in ("name", "tasks")}


def task_fields(name: str, task: Task) -> dict[str, str]:
    """The fields of a task, except its name, as those of a task of this name."""
    fields = [field.name for field in dataclasses.fields(task) if field.name != "name"]
    return {f"{name}.{field}": to_source(getattr(task, field)) for field in fields}


def field_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """A line for each field that differs."""
    return [
        change(name, old.get(name, "nothing"), new.get(name, "nothing"))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
