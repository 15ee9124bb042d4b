"""Configuration of an experiment: the runs of one table."""

import dataclasses

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run, dependency_order
from mtl_jax.config.run_checks import check_experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.study_design import Factorial, SafeTransfer
from mtl_jax.config.tuned import Tuned
from mtl_jax.core.tracker import Tracker
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int


@typechecked
@dataclasses.dataclass(frozen=True)
class Published:
    """A published result of a run, for comparison with ours."""

    run: str
    column: str
    value: float
    source: str


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """The runs of one table.

    Attributes:
      runs: the rows, with unique names.
      baselines: names of single-task runs that gains and Delta_m are relative to.
      published: published results for some cells.
      sklearn_baselines: rows of scikit-learn estimators
        (`mtl_jax.config.sklearn_baseline.SklearnBaseline`), below the runs.
      factorial: the rows that form a full factorial design, whose effects are reported.
      scratch_pairs: tuples of a run and the runs that together solve its tasks without the
        transfer; where these are its source models, the gap between them is the forgetting.
      safe_transfer: rows that choose the better of transfer and scratch on validation, below
        all others.
      tuned: rows that are the best of several trials on validation data, below the runs.
      trackers: where measurements and figures are sent to, such as `trackers.TensorBoard()`, in
        addition to those of `--track`; no setting of a run, and not part of its fingerprint.
      max_population: runs that differ in numbers only, such as their learning rates or seeds, are
        compiled and trained as one program, with results that are equal up to rounding: how many
        at most. None is as many as fit into a quarter of the memory, 1 trains each by itself.
      mesh: how all devices are arranged for every run, which `--mesh` changes; None shards as many
        seeds, and then examples of a batch, as there are devices that divide them.

    Raises:
      BadInput: for duplicate names, a baseline or a published result of an unknown run, a
        baseline with more than one task, rows of a design that cannot be compared, or two
        trackers with one destination.
    """

    runs: tuple[Run, ...]
    baselines: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    sklearn_baselines: tuple[SklearnBaseline, ...] = ()
    factorial: Factorial | None = None
    scratch_pairs: tuple[tuple[str, ...], ...] = ()
    safe_transfer: tuple[SafeTransfer, ...] = ()
    tuned: tuple[Tuned, ...] = ()
    trackers: tuple[Tracker, ...] = ()
    max_population: int | None = None
    mesh: DeviceMesh | None = None

    def __post_init__(self):
        check_experiment(self, dependency_order)
        if self.max_population is not None:
            require_int(self, max_population=1)

    @property
    def trials(self) -> tuple[Run, ...]:
        """The trials of all tuned rows."""
        return tuple(trial for row in self.tuned for trial in row.trials)
