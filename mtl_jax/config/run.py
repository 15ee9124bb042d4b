"""Configuration of a run: data, tasks, model and methods."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from mtl_jax.config.balance_options import AS_PUBLISHED, BalanceOptions
from mtl_jax.config.execution import Execution
from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.run_checks import check_experiment, check_run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.study_design import Factorial, SafeTransfer
from mtl_jax.config.task import Task, checked_replace
from mtl_jax.config.task_schedule import AlternatingTasks, ProgressiveTasks
from mtl_jax.core.balancing import Balancer as Balance
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.penalty import Penalty, Proximal
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.protocols import PretrainedWeights, RunSettings
from mtl_jax.core.step_extension import StepExtension
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.views import Parameters


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(RunSettings):
    """Configuration of one table row: everything that determines its results.

    Attributes:
      name: name of the row and of its output folder.
      data: the data source.
      tasks: the tasks to predict.
      trunk: a module of `mtl_jax.nets`.
      balance: a loss weighting or a gradient aggregator.
      balance_options: how the output of `balance` is applied.
      optimizer: an optimizer of `mtl_jax.config.optimizers`.
      steps: number of training steps.
      batch_size: number of labelled examples per step, B.
      num_labelled: number of labelled training examples; None uses all of them.
      partial_labels: whether each labelled example has the label of one task only.
      unlabelled_ratio: unlabelled examples per labelled one, U = ratio * B.
      weak: augmentation of labelled images and of the images that pseudo-labels are computed
        from; None disables it.
      medium: augmentation between weak and strong, for methods that require it.
      strong: augmentation of the images that are trained on pseudo-labels.
      extensions: extensions of the training step, such as `config.MetaPseudoLabels()` and
        `config.CrossTask()`; at most one of each kind.
      penalties: terms added to the losses.
      proximal: non-smooth terms, applied by their proximal operators after each step, with
        their weights times the learning rate; momentum does not increase these steps.
      task_schedule: which tasks train at which step; None trains all tasks at every step. The
        heads and trunks of inactive tasks and their optimizer moments are not updated; gates,
        masks and other task-specific parameters are still updated by momentum, and auxiliary
        losses stay active.
      init_from: the source model: a run, whose trained trunk is restored, or a file of weights
        (`mtl_jax.nets.pretrained.Pretrained`).
      source_parameters: which parameters of a source run are restored: "selected", those
        selected on its validation data; "raw" or "ema", the raw or averaged ones of its last
        step.
      param_map: further parameters to restore, as pairs of a regular expression over the source
        model's paths (`shared/...`, `tasks/heads/...`) and the path in this run; see
        `mtl_jax.transfer.restore`.
      new_params: patterns of trunk parameters that the source model does not have, such as
        adapters; they keep their random initialization.
      teachers: runs that label the unlabelled images before this one starts, for methods that
        require it (`mtl_jax.core.views.TeacherView`); each task is labelled by the first
        teacher that has it.
      param_rules: ordered rules that specify which parameters are trained, and their learning
        rates; () trains all parameters alike.
      ema_decay: decay of the averaged parameters, which are evaluated in addition to the raw
        ones.
      evaluate_every: steps between evaluations.
      checkpoint_every: steps between checkpoints.
      num_seeds: number of seeds trained in parallel.
      first_seed: the first seed.
      selection: how the reported evaluation is selected, for each seed: "joint", by the mean
        validation metric of the selecting tasks, or its mean rank where metrics or units
        differ; "per_task", for every task by its own metric; "last" or "last_ema", the raw or
        averaged parameters of the last step. Parameters that may still be selected are kept: by
        rank, those of all evaluations that no other one beats in every task.
      measure_affinity: whether each evaluation measures the affinity between tasks.
      execution: execution options; None chooses them by trunk and backend.

    Raises:
      BadInput: for an invalid value.
    """

    name: str
    data: DataSource
    tasks: tuple[Task, ...]
    trunk: Any
    balance: Balance
    optimizer: SGD | Adam
    steps: int
    batch_size: int = 64
    num_labelled: int | None = None
    partial_labels: bool = False
    unlabelled_ratio: int = 7
    weak: Policy | None = None
    medium: Policy | None = None
    strong: Policy | LearnablePolicy | None = None
    extensions: tuple[StepExtension, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    proximal: tuple[Proximal, ...] = ()
    task_schedule: AlternatingTasks | ProgressiveTasks | None = None
    init_from: "Run | PretrainedWeights | None" = None
    source_parameters: Parameters = "selected"
    param_map: tuple[tuple[str, str], ...] = ()
    new_params: tuple[str, ...] = ()
    teachers: "tuple[Run, ...]" = ()
    param_rules: ParamRules = ()
    ema_decay: float = 0.999
    evaluate_every: int = 100
    checkpoint_every: int = 1000
    num_seeds: int = 1
    first_seed: int = 0
    selection: Literal["joint", "per_task", "last", "last_ema"] = "joint"
    measure_affinity: bool = False
    balance_options: BalanceOptions = AS_PUBLISHED
    execution: Execution | None = None

    def __post_init__(self):
        check_run(self, sources_of(self), teacher_by_task(self))

    def replace(self, **changes: Any) -> "Run":
        """Returns a copy with some fields changed."""
        return checked_replace(self, changes)


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

    Raises:
      BadInput: for duplicate names, a baseline or a published result of an unknown run, a
        baseline with more than one task, or rows of a design that cannot be compared.
    """

    runs: tuple[Run, ...]
    baselines: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    sklearn_baselines: tuple[SklearnBaseline, ...] = ()
    factorial: Factorial | None = None
    scratch_pairs: tuple[tuple[str, ...], ...] = ()
    safe_transfer: tuple[SafeTransfer, ...] = ()

    def __post_init__(self):
        check_experiment(self, dependency_order)


def teacher_by_task(run: Run) -> dict[tuple[str, int], Run]:
    """The teacher for each pair of task name and number of outputs."""
    return {(t.name, t.num_outputs): one for one in reversed(run.teachers) for t in one.tasks}


def sources_of(run: Run) -> tuple[Run, ...]:
    """The source model of a run, if it is a run."""
    return (run.init_from,) if isinstance(run.init_from, Run) else ()


def dependencies(run: Run) -> tuple[Run, ...]:
    """The runs that must be finished before this run starts."""
    return (*sources_of(run), *run.teachers)


def map_dependencies(run: Run, change: Callable[[Run], Run]) -> dict[str, Any]:
    """The fields of a run that hold other runs, with `change` applied to each of them."""
    source = change(run.init_from) if isinstance(run.init_from, Run) else run.init_from
    return {"init_from": source, "teachers": tuple(change(one) for one in run.teachers)}


def dependency_order(run: Run) -> list[Run]:
    """A run and all its dependencies, without duplicates, in topological order."""
    found = {}

    def visit(one: Run) -> None:
        if id(one) not in found:
            for each in dependencies(one):
                visit(each)
            found[id(one)] = one

    visit(run)
    return list(found.values())
