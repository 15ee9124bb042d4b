"""Base class of experiment trackers, and what a tracker is told about a run."""

import abc
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Setting = bool | int | float | str | None


class TrackedRun(NamedTuple):
    """A run as a tracker sees it.

    Attributes:
      experiment: name of the experiment, that of its file.
      name: name of the run.
      id: string that identifies the run, the same when it resumes.
      folder: folder of its results.
      settings: its fields by dotted name; what is no number, string or None is given as the
        expression that makes it.
      step: the last step that this tracker logged in an earlier launch, 0 if there is none.
    """

    experiment: str
    name: str
    id: str
    folder: pathlib.Path
    settings: Mapping[str, Setting]
    step: int


class Tracker(abc.ABC):
    """A destination of measurements and figures; derive from it to write your own.

    Runs follow one another: `start`, `log` after each evaluation, `log_summary` if the run ends,
    `close`. At the end of a launch there is `log_figures`. All calls come from one thread, which is
    not the one that trains: training neither waits for a tracker nor stops if one raises. It is
    then not called again in this launch, except to close it.

    What was sent is kept in `trackers.json` in the folder of the run, and is not sent again; the
    next launch sends what is missing, also of runs that have ended. Remove that file to send all.

    Tags are `train/loss/TASK`, `train/weight/TASK` and other training metrics,
    `validation/TASK/METRIC` of the raw parameters, `validation_ema/TASK/METRIC` of the averaged
    ones, and in the summary `test/TASK/METRIC` of the selected ones: means over seeds, in the unit
    of `metrics.jsonl`. With several seeds there is also `seed_N/TAG` for each of them.

    Example:
      >>> from mtl_jax import trackers
      >>> class Lines(trackers.Tracker):
      ...     def start(self, run):
      ...         self.name = run.name
      ...     def log(self, step, scalars):
      ...         print(self.name, step, scalars)
      >>> tracker = Lines()  # Of a file: Experiment(runs=..., trackers=(Lines(),))
      >>> run = trackers.TrackedRun("digits", "alone", "1f", ".", {"steps": 100}, step=0)
      >>> tracker.start(run)
      >>> tracker.log(50, {"train/loss/left": 0.5})
      alone 50 {'train/loss/left': 0.5}
    """

    @property
    def destination(self) -> str:
        """Identifies where it sends to, in `trackers.json`; the name of its class by default."""
        return type(self).__name__

    @abc.abstractmethod
    def start(self, run: TrackedRun) -> None:
        """Begins the log of a run, or continues the one with its `id`."""

    @abc.abstractmethod
    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs the scalars of a step by tag; steps increase."""

    def log_summary(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs the final scalars of a run; by default, as those of its last step."""
        self.log(step, scalars)

    def log_figures(  # noqa: B027, it is optional.
        self, experiment: TrackedRun, paths: Sequence[pathlib.Path]
    ) -> None:
        """Logs figures, PNG files of the whole experiment; by default, does nothing.

        Args:
          experiment: the experiment in the place of a run, with its name, folder and own `id`.
          paths: the files.
        """

    def close(self, finished: bool) -> None:  # noqa: B027, it is optional.
        """Ends the log of a run; `finished` is False if it was interrupted or failed."""
