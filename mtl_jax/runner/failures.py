"""The rows of a launch that fail, while the others go on."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from mtl_jax.config.run import Run
from mtl_jax.core.validation import BadInput, few
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.error_messages import explain_errors, first_line
from mtl_jax.runner.input_digests import Row, row_dependencies
from mtl_jax.storage.run_directory import Damaged, RunDirectory


class Failures(dict[str, str]):
    """Why each row failed, by name; a line is printed as a row is added.

    Attributes:
      debug: whether the traceback of an error is printed too.
    """

    def __init__(self, debug: bool = False):
        super().__init__()
        self.debug = debug
        self.print: Callable[[str], None] = print_error

    @contextlib.contextmanager
    def print_by(self, function: Callable[[str], None]) -> Generator[None, None, None]:
        """Lets a function print the lines."""
        self.print = function
        try:
            yield
        finally:
            self.print = print_error

    def add(self, name: str, reason: str) -> None:
        """Adds a row."""
        self[name] = reason
        self.print(f"error: {reason}")

    def add_earlier(self, folders: Iterable[RunDirectory]) -> None:
        """Adds the unfinished rows that failed in an earlier launch."""
        for folder in folders:
            if folder.run.name in self or folder.is_finished():
                continue
            reason = folder.failure()
            if reason is not None:
                self.add(
                    folder.run.name, f"{reason} (in an earlier launch; --retry trains it again)"
                )

    def reasons(self, folders: Iterable[RunDirectory]) -> dict[str, str]:
        """Why rows failed, in this launch or before, by name."""
        found = {each.run.name: self.get(each.run.name) or each.failure() for each in folders}
        return {name: reason for name, reason in found.items() if reason is not None}

    def add_dependent(self, row: Row) -> bool:
        """Adds a row if it needs one that failed; returns whether it does."""
        needed = [run.name for run in row_dependencies(row) if run.name in self]
        if needed:
            self.add(row.name, f"{kind_of(row)} {row.name!r} needs {few(needed, 3)}, which failed")
        return bool(needed)

    @contextlib.contextmanager
    def catch_damage(self, name: str) -> Generator[None, None, None]:
        """Adds a row if its files are found to be damaged."""
        try:
            yield
        except Damaged as error:
            self.add(name, str(error))

    @contextlib.contextmanager
    def catch(self, folder: RunDirectory, always: bool = False) -> Generator[None, None, None]:
        """Adds the row of a folder if an error is raised, and writes the reason there.

        Bugs of the package are caught too, and their traceback is printed.

        Args:
          folder: the folder of the row.
          always: whether any error is attributed to the input, see `explain_errors`.
        """
        where = f"{kind_of(folder.run)} {folder.run.name!r}"
        try:
            with explain_errors(where, always):
                yield
        except (BadInput, Diverged) as error:
            reason = " ".join(str(error).split())
            if self.debug:
                traceback.print_exception(error)
        except Exception as error:  # noqa: BLE001, the other rows go on.
            reason = f"{where}: {first_line(error)}"
            traceback.print_exception(error)
        else:
            return
        # The disk may be full, or the folder have become unwritable.
        with contextlib.suppress(OSError):
            folder.write_failure(reason)
        self.add(folder.run.name, reason)


def kind_of(row: Any) -> str:
    """What a row is called in messages."""
    return "run" if isinstance(row, Run) else "row"


def print_error(text: str) -> None:
    """Prints a line to stderr."""
    print(text, file=sys.stderr)


def exit_code(failures: Mapping[str, str]) -> int:
    """The exit code of a launch."""
    return 1 if failures else 0
