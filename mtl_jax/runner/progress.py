"""Progress bars on a terminal; elsewhere, one line per finished run."""

import math
import time
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mtl_jax.config.run import Run


class ProgressDisplay:
    """Displays the progress of the runs, with loss, speed and remaining time."""

    # Set by `begin`.
    run: Run
    bar: TaskID
    start_time: float
    first: tuple[int, float] | None  # Step and time of the first update.

    def __init__(self, num_runs: int, show_bars: bool = True):
        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description:28}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not (show_bars and self.console.is_terminal),
        )
        self.total = self.bars.add_task("all runs", total=num_runs, note="")

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_):
        self.bars.stop()

    def begin(self, run: Run) -> None:
        """Starts the bar of a run."""
        self.run, self.start_time, self.first = run, time.perf_counter(), None
        self.bar = self.bars.add_task(run.name, total=run.steps, note="compiling")

    def update(self, step: int, metrics: dict[str, Any]) -> None:
        """Updates the bar of the run to a step."""
        if self.bars.disable:
            return
        loss = math.fsum(np.mean(v) for k, v in metrics.items() if k.startswith("loss/"))
        self.first = self.first or (step, time.perf_counter())
        steps, seconds = step - self.first[0], time.perf_counter() - self.first[1]
        speed = f", {steps / seconds:.0f} steps/s" if steps else ""
        self.bars.update(self.bar, completed=step, note=f"loss {loss:.3f}{speed}")

    def end(self, failed: bool = False) -> None:
        """Removes the bar of the run, and prints a summary line unless it failed."""
        self.bars.remove_task(self.bar)
        self.bars.advance(self.total)
        if failed:
            return
        seconds = time.perf_counter() - self.start_time
        self.print(f"{self.run.name}: {self.run.steps} steps, {seconds:.1f} s")

    def warn(self, text: str) -> None:
        """Prints a warning."""
        self.print(f"warning: {text}")

    def print(self, text: str) -> None:
        """Prints a line unchanged: names may contain brackets, which rich would parse as markup."""
        self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
