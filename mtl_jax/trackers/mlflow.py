"""MLflow."""

import dataclasses
import hashlib
import os
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_jax.core.tracker import TrackedRun, Tracker
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_package

TAG = "mtl_jax.id"  # Of the runs that `MLflow` starts.
LONGEST = 6000  # Characters of a parameter.
PARAMS, METRICS = 100, 1000  # Most that MLflow takes at a time.


@typechecked
@dataclasses.dataclass(eq=False)
class MLflow(Tracker):
    """Runs of MLflow, by the package `mlflow`.

    Its variables apply, as for credentials; `MLFLOW_DISABLE_TELEMETRY=true` keeps the package from
    reporting its use to its authors. Settings become parameters; the figures are artifacts of a run with the name of the experiment.
    A resumed run continues its log.

    Attributes:
      uri: tracking server or database, as in "sqlite:///mlflow.db"; None for
        `MLFLOW_TRACKING_URI`, or else MLflow's default.
      experiment: MLflow experiment; None for the name of the experiment.

    Raises:
      BadInput: without the package mlflow, which the extra `mlflow` installs.
    """

    uri: str | None = None
    experiment: str | None = None
    # Set by `start`.
    client: Any = dataclasses.field(default=None, init=False, repr=False)
    run_id: str = dataclasses.field(default="", init=False, repr=False)

    def __post_init__(self):
        require_package(self, "mlflow", "mlflow")

    @property
    def destination(self) -> str:
        """The class, a digest of the URI, which may hold a password, and the experiment."""
        uri = self.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        digest = hashlib.sha256(uri.encode()).hexdigest()[:16]
        return f"MLflow(uri={digest}, experiment={self.experiment!r})"

    def start(self, run: TrackedRun) -> None:
        """Creates a run of MLflow with the settings, or finds the one with this id."""
        import mlflow  # ty: ignore[import-not-found]  # An optional package.

        self.client = mlflow.MlflowClient(self.uri)
        name = self.experiment or run.experiment
        found = self.client.get_experiment_by_name(name)
        experiment = self.client.create_experiment(name) if found is None else found.experiment_id
        runs = self.client.search_runs([experiment], f"tags.`{TAG}` = '{run.id}'")
        if runs:
            self.run_id = runs[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            return
        created = self.client.create_run(experiment, tags={TAG: run.id}, run_name=run.name)
        self.run_id = created.info.run_id
        params = [
            mlflow.entities.Param(legal(name), str(value)[:LONGEST])
            for name, value in run.settings.items()
        ]
        for start in range(0, len(params), PARAMS):
            self.client.log_batch(self.run_id, params=params[start : start + PARAMS])

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs the scalars of a step."""
        import mlflow  # ty: ignore[import-not-found]  # An optional package.

        now = int(1000 * time.time())
        metrics = [
            mlflow.entities.Metric(legal(tag), value, now, step) for tag, value in scalars.items()
        ]
        for start in range(0, len(metrics), METRICS):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS])

    def log_figures(self, experiment: TrackedRun, paths: Sequence[pathlib.Path]) -> None:
        """Logs the figures as artifacts."""
        self.start(experiment)
        for path in paths:
            self.client.log_artifact(self.run_id, str(path), "figures")
        self.close(finished=True)

    def close(self, finished: bool) -> None:
        """Ends the run of MLflow."""
        run_id, self.run_id = self.run_id, ""
        if run_id:
            self.client.set_terminated(run_id, "FINISHED" if finished else "FAILED")


def legal(tag: str) -> str:
    """A tag with a "_" for each character that MLflow does not take."""
    return re.sub(r"[^\w\-./ :]", "_", tag)
