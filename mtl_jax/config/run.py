"""Configuration of a run: data, tasks, model and methods."""

import dataclasses
from collections.abc import Callable
from typing import Any

from mtl_jax.config.balance_options import AS_PUBLISHED, BalanceOptions
from mtl_jax.config.execution import Execution
from mtl_jax.config.init_checks import check_initialization
from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.replace import Replaceable, RunGroup
from mtl_jax.config.run_checks import check_run
from mtl_jax.config.run_groups import Augmentation, Evaluation, Regularization
from mtl_jax.config.task import Task
from mtl_jax.config.task_schedule import AlternatingTasks, ProgressiveTasks
from mtl_jax.core.balancing import Balancer as Balance
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.optimizer import Optimizer
from mtl_jax.core.protocols import PretrainedWeights, RunSettings
from mtl_jax.core.step_extension import StepExtension
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int
from mtl_jax.core.views import Parameters


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Labels(RunGroup):
    """The labels of a run.

    Attributes:
      num_labelled: number of labelled training examples; None uses all of them.
      partial: whether each labelled example has the label of one task only.
      unlabelled_ratio: unlabelled examples per labelled one in a step, U = ratio * B.
      teachers: runs that label the unlabelled images before this one starts, for methods that
        require it (`mtl_jax.core.views.TeacherView`); each task is labelled by the first
        teacher that has it.

    Raises:
      BadInput: for a value out of range.
    """

    num_labelled: int | None = None
    partial: bool = False
    unlabelled_ratio: int = 7
    teachers: "tuple[Run, ...]" = ()

    def __post_init__(self):
        require_int(self, unlabelled_ratio=1)
        if self.num_labelled is not None:
            require_int(self, num_labelled=1)


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Initialization(RunGroup):
    """The initial parameters of a run.

    Attributes:
      init_from: the source model: a run, whose trained trunk is restored, or a file of weights
        (`mtl_jax.nets.pretrained.Pretrained`); None initializes all parameters randomly.
      parameters: which parameters of a source run are restored: "selected", those selected on
        its validation data; "raw" or "ema", the raw or averaged ones of its last step.
      param_map: further parameters to restore, as pairs of a regular expression over the source
        model's paths (`shared/...`, `tasks/heads/...`) and the path in this run; see
        `mtl_jax.transfer.restore`.
      new_params: patterns of trunk parameters that the source model does not have, such as
        adapters; they keep their random initialization.

    Raises:
      BadInput: for an invalid value.
    """

    init_from: "Run | PretrainedWeights | None" = None
    parameters: Parameters = "selected"
    param_map: tuple[tuple[str, str], ...] = ()
    new_params: tuple[str, ...] = ()

    def __post_init__(self):
        check_initialization(self)


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(RunSettings, Replaceable):
    """Configuration of one table row: everything that determines its results.

    Attributes:
      name: name of the row and of its output folder.
      data: the data source.
      tasks: the tasks to predict.
      trunk: a module of `mtl_jax.nets`.
      balance: a loss weighting or a gradient aggregator.
      optimizer: an optimizer of `mtl_jax.optimizers`, or another `mtl_jax.core.optimizer.Optimizer`.
      steps: number of training steps.
      batch_size: number of labelled examples per step, B.
      labels: how many labels there are, and who labels the rest.
      augmentation: weak, medium and strong augmentation.
      initialization: the source model and what is restored from it.
      param_rules: ordered rules that specify which parameters are trained, and their learning
        rates; () trains all parameters alike.
      regularization: penalties and proximal terms.
      task_schedule: which tasks train at which step; None trains all tasks at every step. The
        heads and trunks of inactive tasks and their optimizer moments are not updated; gates,
        masks and other task-specific parameters are still updated by momentum, and auxiliary
        losses stay active.
      extensions: extensions of the training step, such as `MetaPseudoLabels`
        (`mtl_jax.config.meta_pseudo_labels`) and `CrossTask` (`mtl_jax.config.cross_task`); at
        most one of each kind.
      evaluation: when the run is evaluated and saved, and what is reported.
      num_seeds: number of seeds trained in parallel.
      first_seed: the first seed.
      balance_options: how the output of `balance` is applied.
      execution: execution options; None chooses them by trunk and backend.

    Raises:
      BadInput: for an invalid value.
    """

    name: str
    data: DataSource
    tasks: tuple[Task, ...]
    trunk: Any
    balance: Balance
    optimizer: Optimizer
    steps: int
    batch_size: int = 64
    labels: Labels = dataclasses.field(default_factory=Labels)
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    initialization: Initialization = dataclasses.field(default_factory=Initialization)
    param_rules: ParamRules = ()
    regularization: Regularization = dataclasses.field(default_factory=Regularization)
    task_schedule: AlternatingTasks | ProgressiveTasks | None = None
    extensions: tuple[StepExtension, ...] = ()
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    num_seeds: int = 1
    first_seed: int = 0
    balance_options: BalanceOptions = AS_PUBLISHED
    execution: Execution | None = None

    def __post_init__(self):
        check_run(self, sources_of(self), teacher_by_task(self))


def teacher_by_task(run: Run) -> dict[tuple[str, int], Run]:
    """The teacher for each pair of task name and number of outputs."""
    return {
        (t.name, t.num_outputs): one for one in reversed(run.labels.teachers) for t in one.tasks
    }


def sources_of(run: Run) -> tuple[Run, ...]:
    """The source model of a run, if it is a run."""
    source = run.initialization.init_from
    return (source,) if isinstance(source, Run) else ()


def dependencies(run: Run) -> tuple[Run, ...]:
    """The runs that must be finished before this run starts."""
    return (*sources_of(run), *run.labels.teachers)


def map_dependencies(run: Run, change: Callable[[Run], Run]) -> dict[str, Any]:
    """The fields of a run that hold other runs, with `change` applied to each of them."""
    source = run.initialization.init_from
    source = change(source) if isinstance(source, Run) else source
    return {
        "initialization": run.initialization.replace(init_from=source),
        "labels": run.labels.replace(teachers=tuple(map(change, run.labels.teachers))),
    }


def dependency_order(run: Run) -> list[Run]:
    """A run and all its dependencies, without duplicates, in topological order."""
    order: dict[Run, None] = {}

    def visit(one: Run) -> None:
        if one not in order:
            for each in dependencies(one):
                visit(each)
            order[one] = None

    visit(run)
    return list(order)
