"""Selects the rows of a table, and protects the rows of an existing table."""

import csv
import pathlib
import sys
from collections.abc import Collection

from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import BadInput, few
from mtl_jax.runner import input_digests
from mtl_jax.runner.failures import Failures
from mtl_jax.runner.readable import require_readable
from mtl_jax.runner.run_selection import restrict_to, rows_of
from mtl_jax.storage.run_directory import Damaged, RunDirectory


def rows_there(root: pathlib.Path) -> list[str]:
    """Row names of the existing table in a folder: `table.csv`, else the first in `table.md`."""
    csv_file = root / "table.csv"
    if csv_file.is_file():
        with open(csv_file, encoding="utf-8", newline="") as file:
            return list(
                dict.fromkeys(line["run"] for line in csv.DictReader(file) if "run" in line)
            )
    markdown = root / "table.md"
    text = markdown.read_text(encoding="utf-8") if markdown.is_file() else ""
    table = text.partition("\n\n")[0].splitlines()[2:]
    cells = [line.replace(r"\|", "\0").split("|") for line in table if line.startswith("| ")]
    return [row[1].strip().replace("\0", "|") for row in cells]


def require_rows_kept(
    root: pathlib.Path,
    new: Experiment | None,
    every_run: Experiment,
    failures: Failures,
) -> None:
    """Rejects a new table that lacks rows of the existing one, other than those that failed.

    Raises:
      BadInput: naming the rows.
    """
    kept = () if new is None else (*new.runs, *new.sklearn_baselines, *new.safe_transfer)
    failed = failed_rows(every_run, root, failures)
    trials = every_run.trials  # Another one may be the best now.
    names = {*failures, *failed, *(row.name for row in (*kept, *trials))}
    # Other results lead to other trials.
    searched = tuple(f"{row.name}, " for row in every_run.tuned if row.search is not None)
    lost = [n for n in rows_there(root) if n not in names and not n.startswith(searched)]
    refuse_lost(root, lost)


def failed_rows(every_run: Experiment, root: pathlib.Path, failures: Failures) -> dict[str, str]:
    """Why rows failed, in this launch or before, or cannot be put together of those that did."""
    rows = (*every_run.runs, *every_run.sklearn_baselines)
    found = failures.reasons(RunDirectory(root, row) for row in rows)
    for safe in every_run.safe_transfer:
        needed = [name for name in (safe.transfer, *safe.scratch) if name in found]
        if needed:
            found[safe.name] = f"row {safe.name!r} needs {few(needed, 3)}, which failed"
    return found


def refuse_lost(root: pathlib.Path, lost: list[str]) -> None:
    """Raises `BadInput` if rows of the existing table would be lost."""
    if lost:
        raise BadInput(
            f"the table in {root} has rows that a new one would lack: {', '.join(lost)}. They are "
            "of another experiment, or of other settings, code or data. Give --out another folder, "
            "or move the table away if they are to go"
        )


def check(
    experiment: Experiment,
    every_run: Experiment,
    root: pathlib.Path,
    fresh: bool,
    failures: Failures,
) -> None:
    """Rejects a launch that would reuse results of other settings or data, or lose table rows.

    Args:
      experiment: the requested runs.
      every_run: all runs, of which the table shows the finished ones.
      root: the folder of all results.
      fresh: whether old results of the requested runs are set aside first.
      failures: receives the rows whose files are damaged.

    Raises:
      BadInput: naming the run, or the rows.
    """
    rows = rows_of(experiment)
    names = {row.name for row in rows}
    for row in () if fresh else rows:
        folder = RunDirectory(root, row)
        with failures.catch_damage(row.name):
            folder.check()
            require_readable(folder)
            if folder.is_finished() or not failures.add_dependent(row):
                input_digests.check(folder)
    others = (*every_run.runs, *every_run.sklearn_baselines)
    for row in (row for row in others if row.name not in names):
        with failures.catch_damage(row.name):
            require_readable(RunDirectory(root, row))
    require_rows_kept(root, rows_to_show(every_run, root, names, failures), every_run, failures)


def rows_to_show(
    every_run: Experiment, root: pathlib.Path, included: Collection[str], failures: Collection[str]
) -> Experiment | None:
    """The rows of the table, None if there is none.

    These are the finished rows with unchanged inputs, and those named in `included`, but for
    those that failed.
    """
    rows = [
        row
        for row in (*every_run.runs, *every_run.sklearn_baselines)
        if row.name not in failures and (row.name in included or is_valid(RunDirectory(root, row)))
    ]
    return restrict_to(every_run, rows) if rows else None


def is_valid(folder: RunDirectory) -> bool:
    """Whether a row is finished and its inputs are unchanged, as far as they can be read."""
    try:
        if not folder.is_finished():
            return False
    except Damaged:
        return False
    try:
        return not input_digests.changed_inputs(folder)
    except (BadInput, ImportError):
        return True


def finished_rows(
    every_run: Experiment, root: pathlib.Path, failures: Failures
) -> Experiment | None:
    """The rows that a table may show; prints a warning for each finished row it may not.

    Args:
      every_run: all runs.
      root: the folder of all results.
      failures: the rows that failed, which are left out, and why.

    Returns:
      None if there is no such row.

    Raises:
      BadInput: if the existing table has rows that the new one would lack.
    """
    done = rows_to_show(every_run, root, (), failures)
    require_rows_kept(root, done, every_run, failures)
    names = set() if done is None else {row.name for row in (*done.runs, *done.sklearn_baselines)}
    for row in (*every_run.runs, *every_run.sklearn_baselines):
        known = row.name in names or row.name in failures
        if not known and RunDirectory(root, row).result() is not None:
            text = f"{row.name!r} is not in the table: it was trained with other settings or data"
            print(f"warning: {text}", file=sys.stderr)
    return done
