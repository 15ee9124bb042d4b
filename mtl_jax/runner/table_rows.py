"""Which rows a launch's table has, and that it loses none of a table that is there."""

import csv
import pathlib
import sys
from collections.abc import Iterable

from mtl_jax.config.run import Experiment
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import input_digests
from mtl_jax.runner.run_selection import among, in_order
from mtl_jax.storage.run_directory import Folder


def rows_there(root: pathlib.Path) -> list[str]:
    """Names of the rows of the table that a folder has: `table.csv`, else the first of `table.md`."""
    lines = root / "table.csv"
    if lines.is_file():
        with open(lines, encoding="utf-8", newline="") as file:
            return list(
                dict.fromkeys(line["run"] for line in csv.DictReader(file) if "run" in line)
            )
    page = root / "table.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    table = text.partition("\n\n")[0].splitlines()[2:]
    cells = [line.replace(r"\|", "\0").split("|") for line in table if line.startswith("| ")]
    return [row[1].strip().replace("\0", "|") for row in cells]


def require_kept(root: pathlib.Path, new: Experiment) -> None:
    """Refuses to write a table that lacks rows of the one that is there.

    Raises:
      BadInput: naming the rows.
    """
    names = {row.name for row in (*new.runs, *new.classics, *new.safe)}
    refuse_lost(root, [name for name in rows_there(root) if name not in names])


def refuse_lost(root: pathlib.Path, lost: list[str]) -> None:
    """Refuses to leave rows of the table that is there out of a new one."""
    if lost:
        raise BadInput(
            f"the table in {root} has rows that a new one would lack: {', '.join(lost)}. They are "
            "of another experiment, or of other settings, code or data. Give --out another folder, "
            "or move the table away if they are to go"
        )


def check(experiment: Experiment, whole: Experiment, root: pathlib.Path, fresh: bool) -> None:
    """Refuses a launch that would take other results for its own, or lose rows of the table.

    Args:
      experiment: the runs that were asked for.
      whole: all runs, of which the table shows those that are finished.
      root: the folder of all results.
      fresh: whether old results of the runs asked for are set aside first.

    Raises:
      BadInput: naming the run, or the rows.
    """
    rows = (*in_order(experiment), *experiment.classics)
    for row in () if fresh else rows:
        folder = Folder(root, row)
        folder.check()
        input_digests.check(folder)
    require_kept(root, shown(whole, root, {row.name for row in rows}))


def shown(whole: Experiment, root: pathlib.Path, sure: Iterable[str] = ()) -> Experiment:
    """The rows of the table: the finished ones, whose data are as they were, and some for sure."""
    rows = (*whole.runs, *whole.classics)
    return among(whole, (row for row in rows if row.name in sure or stands(Folder(root, row))))


def stands(folder: Folder) -> bool:
    """Whether a row is finished, and was trained on what there is now, if that can be read."""
    if not folder.finished():
        return False
    try:
        return not input_digests.changed(folder)
    except (BadInput, ImportError):
        return True


def finished(whole: Experiment, root: pathlib.Path) -> Experiment:
    """The rows that a table may show now; it is said which finished ones it may not.

    Raises:
      BadInput: if the table that is there has rows which this one would lack.
    """
    done = shown(whole, root)
    require_kept(root, done)
    names = {row.name for row in (*done.runs, *done.classics)}
    for row in (*whole.runs, *whole.classics):
        if row.name not in names and Folder(root, row).result() is not None:
            text = f"{row.name!r} is not in the table: it was trained with other settings or data"
            print(f"warning: {text}", file=sys.stderr)
    return done
