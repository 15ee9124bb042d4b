"""Configuration of a task: its head, loss, metrics and auxiliary loss."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

import jax

from mtl_jax.config.replace import Replaceable
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.base_views import BASE_VIEWS, MEDIUM, STRONG
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.head import Head
from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_choice, require_int
from mtl_jax.core.views import AdversarialView, SeparatePass, TeacherView, base_views
from mtl_jax.losses.target_type import possible_types, target_type, types_of


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Replaceable):
    """A prediction task.

    Attributes:
      name: name of the task and of its label in the data.
      num_outputs: number of outputs C of a linear head; for classification, the number of classes.
        May be left out with `head`, which has it.
      head: the module from features to outputs, `mtl_jax.nets.heads` or a user's own; None is
        a linear head of `num_outputs`.
      loss: `(outputs [B, ..., C], labels [B, ...]) -> [B]` or `[B, ...]`, one of
        `mtl_jax.losses`; what is not labelled does not count. For label vectors
        `[B, D]` the package's losses are means over the known entries; so is a user-defined
        loss that returns `[B, D]`, otherwise it receives 0 for missing entries, and only
        examples with all entries known count.
      metrics: metrics that evaluate the predictions, each with a column of the table; the first one
        selects.
      auxiliary: auxiliary loss, usually on unlabelled examples; None for none.
      selects: whether its validation metric takes part in the selection; False for an auxiliary
        task that is trained to help the others.

    Raises:
      BadInput: for an invalid value, or a metric or auxiliary loss that does not support the
        target type of the loss (`mtl_jax.losses.target_type`).
    """

    name: str
    num_outputs: int = 0
    head: Head | None = None
    loss: Callable[..., jax.Array]
    metrics: tuple[Metric | HostMetric, ...]
    auxiliary: AuxiliaryLoss | None = None
    selects: bool = True

    def __post_init__(self):
        # "inputs" is the key of the inputs, and `task/head` names a head of an auxiliary loss.
        if self.head is not None and self.num_outputs == 0:
            object.__setattr__(self, "num_outputs", self.head.num_outputs)
        fine = bool(self.name) and self.name != "inputs" and "/" not in self.name
        require(fine, self, "name", 'must not be empty, "inputs" or have a /', self.name)
        rule = "must be of printable characters"
        require(self.name.isprintable(), self, "name", rule, self.name)
        require_int(self, num_outputs=1)
        rule = f"must be that of the head {to_source(self.head)}, or left out"
        fine = self.head is None or self.head.num_outputs == self.num_outputs
        require(fine, self, "num_outputs", rule, self.num_outputs)
        require_choice(self, selects=(True, False))
        require_metrics(self)
        asked = () if self.auxiliary is None else self.auxiliary.views
        unknown = sorted({name for view in asked for name in base_views(view)} - {*BASE_VIEWS})
        rule = f"must ask for views that there are ({', '.join(BASE_VIEWS)})"
        require(not unknown, self, "auxiliary", rule, unknown)
        require_types(self)

    def replace(self, **changes: Any) -> Self:
        """As of any setting; with another head, the number of outputs is that head's."""
        implied = {} if changes.get("head") is None else {"num_outputs": 0}
        return super().replace(**{**implied, **changes})

    @property
    def head_spec(self) -> int | Head:
        """Its head, or the number of outputs of a linear one."""
        return self.num_outputs if self.head is None else self.head

    @property
    def selection_metric(self) -> Metric | HostMetric:
        """The first metric, which selects."""
        return self.metrics[0]

    def asks_for(self, names: tuple[str, ...]) -> bool:
        """Whether its auxiliary loss requires any of the given base views."""
        asked = () if self.auxiliary is None else self.auxiliary.views
        return any(name in names for view in asked for name in base_views(view))


def require_types(task: Task) -> None:
    """Requires a metric and an auxiliary loss that support the target type of the loss.

    Raises:
      BadInput: if one does not, for a multiclass `AdversarialView` of other targets, or for
        `cross_entropy` with one output, which is always 0.
    """
    few = target_type(task.loss, task.num_outputs) == "multiclass" and task.num_outputs < 2
    rule = "must be 2 or more with cross_entropy (of one output, binary_cross_entropy)"
    require(not few, task, "num_outputs", rule, task.num_outputs)
    own = possible_types(task.loss, task.num_outputs)
    for field, part in [*(("metrics", m) for m in task.metrics), ("auxiliary", task.auxiliary)]:
        if not set(own) & set(types_of(part)):
            raise BadInput(
                f"Task.{field} must be for {' or '.join(own)} targets, as task {task.name!r} has "
                f"by its loss with num_outputs={task.num_outputs}, but {part!r} is for "
                f"{' or '.join(types_of(part))} ones"
            )
    views = () if task.auxiliary is None else task.auxiliary.views
    blind = any(
        isinstance(view, AdversarialView) and view.target_type == "multiclass" for view in views
    )
    rule = f"must not ask for an adversary of classes for {' or '.join(own)} targets"
    require(not blind or "multiclass" in own, task, "auxiliary", rule, task.auxiliary)


def require_metrics(task: Task) -> None:
    """Validates the metrics, possibly user-defined, that tables report."""
    metrics = task.metrics
    rule = "must be a tuple of metrics, such as (metrics.Accuracy(),)"
    is_tuple = isinstance(metrics, tuple) and bool(metrics)
    fine = is_tuple and all(isinstance(each, Metric | HostMetric) for each in metrics)
    require(fine, task, "metrics", rule, metrics)
    for metric in metrics:
        named = isinstance(metric.name, str) and bool(metric.name)
        require(named, task, "metrics", "must have names that are strings", metric.name)
        better = metric.higher_is_better
        require(type(better) is bool, task, "metrics", "must say if higher_is_better", better)
        number = type(metric.scale) in (int, float) and math.isfinite(metric.scale)
        require(number, task, "metrics", "must have a scale that is a number", metric.scale)
    names = [metric.name for metric in metrics]
    rule = "must have distinct names"
    require(len(set(names)) == len(names), task, "metrics", rule, names)


def require_views(run: Any) -> None:
    """Requires that a run has everything that the views of its auxiliary losses need.

    Raises:
      BadInput: for a missing policy or source model, a policy that learns from label
        probabilities where all targets are continuous, a teacher for another target type, or a
        joint policy beside stored predictions of maps.
    """
    for field, views in (("medium", MEDIUM), ("strong", STRONG)):
        needing = [task.name for task in run.tasks if task.asks_for(views)]
        fine = field in run.augmentation.policies or not needing
        rule = f"is needed by the consistency of {needing}"
        require(fine, run, f"augmentation.{field}", rule, None)
    needing = [task.name for task in run.tasks if uses_source_model(task)]
    rule = f"is needed by the consistency of {needing}"
    random = run.initialization.init_from is None
    require(not (random and needing), run, "initialization.init_from", rule, None)
    types = {t for task in run.tasks for t in possible_types(task.loss, task.num_outputs)}
    fine = not isinstance(run.augmentation.strong, LearnablePolicy) or types != {"continuous"}
    rule = "must not learn by probabilities of labels, since all tasks predict numbers"
    require(fine, run, "augmentation.strong", rule, run.augmentation.strong)
    for task in run.tasks:
        rule = f"must teach {task.name!r} by a loss for the same type of targets"
        for other in (one for teacher in run.labels.teachers for one in teacher.tasks):
            asked = teacher_view(task) is not None and other.name == task.name
            require(not asked or teaches(other, task), run, "labels.teachers", rule, other.loss)
        require_stored_maps(run, task)


def require_stored_maps(run: Any, task: Task) -> None:
    """Requires that stored predictions of a task with a head of its own fit the images."""
    view = teacher_view(task)
    if task.head is None or view is None:
        return
    rule = f"must be None: the stored predictions of {task.name!r} do not move with the images"
    joint = run.augmentation.joint
    require(joint is None, run, "augmentation.joint", rule, joint)
    rule = "must be None for a task with a head of its own"
    require(view.per_class is None, task, "auxiliary: per_class", rule, view.per_class)


def uses_source_model(task: Task) -> bool:
    """Whether a task's auxiliary loss uses the source model."""
    views = () if task.auxiliary is None else task.auxiliary.views
    return any(isinstance(view, SeparatePass) and view.model == "source" for view in views)


def required_views(task: Task) -> tuple:
    """The views that a task's losses require."""
    if task.auxiliary is None:
        return ("labelled",)
    if task.auxiliary.has_labelled_loss:
        return task.auxiliary.views
    return ("labelled", *task.auxiliary.views)


def teaches(teacher: Task, task: Task) -> bool:
    """Whether the outputs of a teacher's task are compatible with another task's auxiliary loss.

    A different number of outputs is checked elsewhere, and returns True here.
    """
    types = [set(possible_types(each.loss, each.num_outputs)) for each in (teacher, task)]
    return teacher.num_outputs != task.num_outputs or bool(types[0] & types[1])


def teacher_view(task: Task) -> TeacherView | None:
    """The teacher view of a task's auxiliary loss, or None."""
    views = () if task.auxiliary is None else task.auxiliary.views
    return next((view for view in views if isinstance(view, TeacherView)), None)
