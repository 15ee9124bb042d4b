"""A run is data: what is learnt from what, and by which methods."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from mtl_jax.config.balance_options import AS_PUBLISHED, Weighing
from mtl_jax.config.cross_task import CrossTask
from mtl_jax.config.execution import Dispatch
from mtl_jax.config.meta_pseudo_labels import Coach
from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.config.param_rules import Plan
from mtl_jax.config.run_checks import check_experiment, check_run
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.config.study_design import Factorial, Safe
from mtl_jax.config.task import Task, replaced
from mtl_jax.config.task_schedule import Alternating, Progressive
from mtl_jax.core.protocols import Balance, Penalty, Policy, Proximal, Source, Trunk, Weights
from mtl_jax.core.typechecked import typed
from mtl_jax.core.views import Parameters
from mtl_jax.losses import cross_entropy


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One row of a table: everything that decides its numbers.

    Attributes:
      name: of the row and of its folder.
      data: where the arrays come from.
      tasks: what is predicted.
      trunk: a module of `mtl_jax.nets`.
      balance: a weighting or an aggregator.
      weighing: how what it says is applied.
      optimizer: a recipe of `mtl_jax.config.optimizers`.
      steps: length of the training.
      batch: labelled examples a step, B.
      labelled: training examples that have labels; None is all of them.
      partial: whether each of them has the label of one task only.
      unlabelled_ratio: unlabelled examples for each labelled one, U = ratio * B.
      weak: augmentation of labelled images and of the targets of consistency; None is none.
      medium: augmentation between the two, for methods that ask for it.
      strong: augmentation of the images that learn from those targets.
      cross_task: consistency of each task's predictions with the labels of the others.
      coach: a teacher beside the net, that labels for it and learns from how that went.
      penalties: terms added to the losses.
      proximal: terms that are not smooth, taken by their proximal operators after each step,
        with their weights times the learning rate; momentum does not lengthen these steps.
      scheme: which tasks train when; None is all of them at every step. Heads and trunks of the
        others stand still, and their moments in the optimizer; gates, masks and what else a
        net has for a task go on by momentum, and consistency goes on.
      source: what this run starts from: a run, whose trained trunk it takes over; or a file of
        weights (`mtl_jax.nets.pretrained.Pretrained`).
      source_parameters: which parameters of a source run are taken over: "selected", those that
        its validation selected; "raw" or "ema", the raw or the averaged ones of its last step.
      take: what else is taken over, as pairs of a regular expression over the source's paths
        (`shared/...`, `tasks/heads/...`) and the path here; see `mtl_jax.transfer.restore`.
      fresh: patterns of parameters of the trunk that the source does not have, and that begin as
        they were drawn, such as adapters.
      teachers: runs that label the unlabelled images before this one begins, for methods that
        ask for it (`mtl_jax.core.views.Stored`); each task is labelled by the first that has it.
      plan: rules in order, what is trained and how fast; () trains all alike.
      ema: momentum of the averaged parameters that are evaluated beside the raw ones.
      evaluate_every: steps between evaluations.
      checkpoint_every: steps between checkpoints.
      seeds: how many seeds train side by side.
      first_seed: the first of them.
      selection: what decides, for each seed, which evaluation is reported: "joint", the mean
        over the selecting tasks of the validation metric, or of its rank where tasks have other
        metrics or units; "per_task", for every task its own metric; "last" or "last_ema", the
        raw or the averaged parameters of the last step. Parameters that may yet be selected are
        kept: by rank, those of all evaluations that no other one beats in every task.
      affinity: whether each evaluation measures how the tasks get on with each other.
      dispatch: layout in time; None chooses by trunk and backend.

    Raises:
      BadInput: for a value outside its rule.
    """

    name: str
    data: Source
    tasks: tuple[Task, ...]
    trunk: Trunk
    balance: Balance
    optimizer: SGD | Adam
    steps: int
    batch: int = 64
    labelled: int | None = None
    partial: bool = False
    unlabelled_ratio: int = 7
    weak: Policy | None = None
    medium: Policy | None = None
    strong: Policy | None = None
    cross_task: CrossTask | None = None
    coach: Coach | None = None
    penalties: tuple[Penalty, ...] = ()
    proximal: tuple[Proximal, ...] = ()
    scheme: Alternating | Progressive | None = None
    source: "Run | Weights | None" = None
    source_parameters: Parameters = "selected"
    take: tuple[tuple[str, str], ...] = ()
    fresh: tuple[str, ...] = ()
    teachers: "tuple[Run, ...]" = ()
    plan: Plan = ()
    ema: float = 0.999
    evaluate_every: int = 100
    checkpoint_every: int = 1000
    seeds: int = 1
    first_seed: int = 0
    selection: Literal["joint", "per_task", "last", "last_ema"] = "joint"
    affinity: bool = False
    weighing: Weighing = AS_PUBLISHED
    dispatch: Dispatch | None = None

    def __post_init__(self):
        check_run(self, cross_entropy, sources_of(self), taught(self))

    def but(self, **changes: Any) -> "Run":
        """The same run with some fields changed."""
        return replaced(self, changes)


@typed
@dataclasses.dataclass(frozen=True)
class Published:
    """A number that a paper prints for a run, to stand beside ours."""

    run: str
    column: str
    value: float
    source: str


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """The runs of one table.

    Attributes:
      runs: the rows, each of its own name.
      baselines: names of single-task runs that gains and Delta_m are measured against.
      published: numbers of papers for some cells.
      classics: rows of other estimators (`mtl_jax.config.sklearn_baseline.Classic`), below the others.
      factorial: which rows are the cells of a full factorial design, whose effects are told.
      scratch: each a run and those that together did without the transfer; where these are what
        it started from, the gap between them is what it forgot.
      safe: rows that take the better of transfer and scratch on validation, below all others.

    Raises:
      BadInput: for two runs of one name, a baseline or a published number of no run, a baseline
        that has more than one task, or rows of a design that cannot be compared.
    """

    runs: tuple[Run, ...]
    baselines: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    classics: tuple[Classic, ...] = ()
    factorial: Factorial | None = None
    scratch: tuple[tuple[str, ...], ...] = ()
    safe: tuple[Safe, ...] = ()

    def __post_init__(self):
        check_experiment(self, lineage)


def taught(run: Run) -> dict[tuple[str, int], Run]:
    """The teacher of each task and number of outputs."""
    return {(t.name, t.outputs): one for one in reversed(run.teachers) for t in one.tasks}


def sources_of(run: Run) -> tuple[Run, ...]:
    """The run that one starts from, if it is a run."""
    return (run.source,) if isinstance(run.source, Run) else ()


def needed(run: Run) -> tuple[Run, ...]:
    """The runs that must be finished before one begins."""
    return (*sources_of(run), *run.teachers)


def with_needed(run: Run, change: Callable[[Run], Run]) -> dict[str, Any]:
    """The fields of a run that hold other runs, each of these changed."""
    source = change(run.source) if isinstance(run.source, Run) else run.source
    return {"source": source, "teachers": tuple(change(one) for one in run.teachers)}


def lineage(run: Run) -> list[Run]:
    """The runs that it needs, each once and after those that it needs itself, and the run."""
    found = {}

    def visit(one: Run) -> None:
        if id(one) not in found:
            for each in needed(one):
                visit(each)
            found[id(one)] = one

    visit(run)
    return list(found.values())
