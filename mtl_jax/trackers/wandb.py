"""Weights & Biases."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_jax.core.tracker import TrackedRun, Tracker
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_package


@typechecked
@dataclasses.dataclass(eq=False)
class WandB(Tracker):
    """Runs of Weights & Biases, by the package `wandb`.

    Log in by `wandb login` first. Its variables apply, such as `WANDB_MODE=offline`. Settings become the config, test metrics the
    summary; the figures are logged in a run with the name of the experiment. A resumed run
    continues its log. The output of the terminal is not sent.

    Attributes:
      project: project; None for the name of the experiment.
      entity: user or team; None for the default one.
      group: group of the runs.

    Raises:
      BadInput: without the package wandb, which the extra `wandb` installs.
    """

    project: str | None = None
    entity: str | None = None
    group: str | None = None
    log_of_run: Any = dataclasses.field(default=None, init=False, repr=False)  # Set by `start`.

    def __post_init__(self):
        require_package(self, "wandb", "wandb")

    @property
    def destination(self) -> str:
        """The class, project, entity and group."""
        return repr(self)

    def start(self, run: TrackedRun) -> None:
        """Starts a run of W&B, or resumes the one with this id."""
        import wandb  # ty: ignore[import-not-found]  # An optional package.

        self.log_of_run = wandb.init(
            project=self.project or run.experiment,
            entity=self.entity,
            group=self.group,
            name=run.name,
            id=run.id,
            resume="allow",
            config=dict(run.settings),
            dir=str(run.folder),
            reinit="create_new",
            settings=wandb.Settings(console="off"),
        )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs the scalars of a step."""
        self.log_of_run.log(dict(scalars), step=step, commit=True)

    def log_summary(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs the final scalars as the summary."""
        self.log_of_run.summary.update(dict(scalars))

    def log_figures(self, experiment: TrackedRun, paths: Sequence[pathlib.Path]) -> None:
        """Logs the figures as images."""
        import wandb  # ty: ignore[import-not-found]  # An optional package.

        self.start(experiment)
        images = {f"figures/{path.stem}": wandb.Image(str(path)) for path in paths}
        self.log_of_run.log(images)
        self.close(finished=True)

    def close(self, finished: bool) -> None:
        """Ends the run of W&B, which waits until it is uploaded."""
        log, self.log_of_run = self.log_of_run, None
        if log is not None:
            log.finish(exit_code=0 if finished else 1)
