"""Sends measurements and figures to trackers, each called in a thread of its own."""

import contextlib
import pathlib
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Self

from mtl_jax.config.experiment import Experiment
from mtl_jax.core.protocols import TableRow
from mtl_jax.core.tracker import TrackedRun, Tracker
from mtl_jax.report.scalars import flat_settings, record_scalars, result_scalars
from mtl_jax.runner.error_messages import first_line
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.sent_steps import read_sent, write_sent
from mtl_jax.trackers import MLflow, TensorBoard, WandB

MAX_WAIT = 60.0  # Seconds that a launch waits at its end for a slow tracker.
OPTIONS = {"mlflow": MLflow, "tensorboard": TensorBoard, "wandb": WandB}  # Of `--track`.

Record = dict[str, Any]


def requested_trackers(experiment: Experiment, names: Iterable[str]) -> tuple[Tracker, ...]:
    """The trackers of an experiment, and those of `--track` that it does not set itself.

    Raises:
      BadInput: if the package of one is missing.
    """
    own = {type(tracker) for tracker in experiment.trackers}
    asked = [OPTIONS[name] for name in dict.fromkeys(names)]
    return (*experiment.trackers, *(tracker() for tracker in asked if tracker not in own))


class TrackerThread:
    """Calls a tracker in a thread, in order; after an exception, not any more in this launch.

    Attributes:
      tracker: the tracker.
      has_sent: whether it was sent anything in this launch, after which figures are sent again.
    """

    def __init__(self, tracker: Tracker):
        self.tracker, self.has_sent = tracker, False
        self.calls: queue.SimpleQueue[tuple[str, Callable[[], None]] | None] = queue.SimpleQueue()
        # A daemon, since the process may end before a tracker answers.
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def put(self, where: str, call: Callable[[], None]) -> None:
        """Adds a call; `where` says in a warning what it is about, such as "run 'digits'"."""
        self.calls.put((where, call))

    def work(self) -> None:
        """Makes the calls until there are no more or one raises."""
        while (item := self.calls.get()) is not None:
            where, call = item
            try:
                call()
            except BaseException as error:  # noqa: BLE001, training goes on.
                self.warn(f"{where}: {first_line(error)}; it is off until the next launch")
                with contextlib.suppress(BaseException):
                    self.tracker.close(finished=False)
                return

    def join(self) -> None:
        """Waits for the calls so far, but not forever."""
        self.calls.put(None)
        self.thread.join(MAX_WAIT)
        if self.thread.is_alive():
            self.warn(f"no answer within {MAX_WAIT:g} s; the next launch sends the rest")

    def warn(self, text: str) -> None:
        """Prints a warning about the tracker."""
        print(f"warning: tracker {type(self.tracker).__name__}, {text}", file=sys.stderr)


class RunLog:
    """Log of a row in one tracker; its methods are called in the tracker's thread."""

    def __init__(self, thread: TrackerThread, experiment: str, folder: RunDirectory):
        self.thread, self.tracker = thread, thread.tracker
        self.experiment, self.folder = experiment, folder

    def start(self) -> None:
        """Starts the log, unless it was finished in an earlier launch."""
        row, path = self.folder.run, self.folder.path
        self.run_id, self.step, self.finished = read_sent(path, self.tracker.destination)
        if not self.finished:
            self.thread.has_sent = True
            settings = {**flat_settings(row), "fingerprint": self.folder.fingerprint}
            run = TrackedRun(self.experiment, row.name, self.run_id, path, settings, self.step)
            self.tracker.start(run)

    def send(self, records: Sequence[Record]) -> None:
        """Sends the records after the last step that was sent."""
        for record in records:
            if record["step"] > self.step and not self.finished:
                self.tracker.log(record["step"], record_scalars(record, self.folder.run.first_seed))
                self.mark(record["step"])

    def close(self, finished: bool) -> None:
        """Ends the log; that of a finished run with all its records and the summary."""
        if self.finished:
            return
        if finished:
            self.send(self.folder.records())
            scalars = result_scalars(self.folder.result(), self.folder.run.first_seed)
            self.tracker.log_summary(self.step, scalars)
        self.tracker.close(finished)
        if finished:
            self.mark(self.step, finished=True)

    def mark(self, step: int, finished: bool = False) -> None:
        """Stores what was sent."""
        self.step = step
        write_sent(self.folder.path, self.tracker.destination, step, finished)


class Tracking:
    """Sends runs to trackers: those in training as they go, others once they are finished."""

    def __init__(self, trackers: Iterable[Tracker], experiment: str):
        self.threads = [TrackerThread(tracker) for tracker in trackers]
        self.experiment = experiment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()

    @contextlib.contextmanager
    def follow(self, folder: RunDirectory) -> Generator[Callable[[list[Record]], None]]:
        """Logs a row that finishes in this context; gives a function that sends its records."""
        where = f"run {folder.run.name!r}"
        logs = [RunLog(thread, self.experiment, folder) for thread in self.threads]

        def send(records: list[Record]) -> None:
            now = list(records)
            for log in logs:
                log.thread.put(where, lambda log=log: log.send(now))

        finished = False
        try:
            for log in logs:
                log.thread.put(where, log.start)
            yield send
            finished = True
        finally:
            for log in logs:
                log.thread.put(where, lambda log=log: log.close(finished))

    def log_finished(self, rows: Iterable[TableRow], root: pathlib.Path) -> None:
        """Sends what is missing of rows that are finished, and the figures."""
        for folder in (RunDirectory(root, row) for row in rows):
            if self.threads and folder.is_finished():
                with self.follow(folder):
                    pass
        for thread in self.threads:
            thread.put("figures", lambda thread=thread: self.log_figures(thread, root))

    def renew_figures(self) -> None:
        """Lets `log_finished` send the figures again, since other processes have sent rows."""
        for thread in self.threads:
            thread.has_sent = True

    def log_figures(self, thread: TrackerThread, root: pathlib.Path) -> None:
        """Sends the figures, if this launch sent anything or an earlier one failed to send them."""
        tracker, paths = thread.tracker, sorted(root.glob("*.png"))
        sent = read_sent(root, tracker.destination)
        if paths and (thread.has_sent or not sent.finished):
            write_sent(root, tracker.destination, 0, finished=False)
            run = TrackedRun(self.experiment, self.experiment, sent.run_id, root, {}, 0)
            tracker.log_figures(run, paths)
            write_sent(root, tracker.destination, 0, finished=True)
