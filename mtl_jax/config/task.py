"""A task is data: one thing to predict, and how unlabelled examples help."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.core.protocols import Consistency, LearntPolicy, Metric
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import BadInput, near, require, require_choice, require_count
from mtl_jax.core.views import MEDIUM, PLAIN, STRONG, Adversarial, Apart, Stored, plain_parts
from mtl_jax.losses.target_type import possible_types, target_type, types_of


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to predict.

    Attributes:
      name: of the task and of its label in the data.
      outputs: numbers that its head puts out; of a classification, the classes C.
      loss: `(outputs [B, C], labels [B]) -> [B]`, one of `mtl_jax.losses`. Of vectors of labels
        `[B, D]` the package's losses are means over the entries that are known; one of your own
        is too if it gives losses `[B, D]`, else it sees a 0 for what is missing, and only
        examples of which all entries are known count.
      metric: how predictions are judged.
      consistency: how unlabelled examples are used, if they are.
      selects: whether its validation metric takes part in the selection; an auxiliary task,
        trained to help the others, says False.

    Raises:
      BadInput: for a value outside its rule, or a metric or a method that is not for targets as
        the loss has them (`mtl_jax.losses.target_type`).
    """

    name: str
    outputs: int
    loss: Callable[..., jax.Array]
    metric: Metric
    consistency: Consistency | None = None
    selects: bool = True

    def __post_init__(self):
        # `image` is the input beside the labels, and `task/head` a head of a task's method.
        fine = bool(self.name) and self.name != "image" and "/" not in self.name
        require(fine, self, "name", 'must not be empty, "image" or have a /', self.name)
        rule = "must be of printable characters"
        require(self.name.isprintable(), self, "name", rule, self.name)
        require_count(self, outputs=1)
        require_choice(self, selects=(True, False))
        require_metric(self)
        asked = () if self.consistency is None else self.consistency.views
        wrong = sorted({name for view in asked for name in plain_parts(view)} - {*PLAIN})
        rule = f"must ask for views that there are ({', '.join(PLAIN)})"
        require(not wrong, self, "consistency", rule, wrong)
        require_types(self)

    def asks_for(self, names: tuple[str, ...]) -> bool:
        """Whether its consistency method needs one of some plain views."""
        asked = () if self.consistency is None else self.consistency.views
        return any(name in names for view in asked for name in plain_parts(view))

    def but(self, **changes: Any) -> "Task":
        """The same task with some fields changed."""
        return replaced(self, changes)


def require_types(task: Task) -> None:
    """Requires a metric and a method for targets of the type that the loss has.

    Raises:
      BadInput: for another one, for an adversary of classes where there are none, or for
        `cross_entropy` of one output, which is always 0.
    """
    few = target_type(task.loss, task.outputs) == "multiclass" and task.outputs < 2
    rule = "must be 2 or more with cross_entropy (of one output, binary_cross_entropy)"
    require(not few, task, "outputs", rule, task.outputs)
    own = possible_types(task.loss, task.outputs)
    for field in ("metric", "consistency"):
        part = getattr(task, field)
        if not set(own) & set(types_of(part)):
            raise BadInput(
                f"Task.{field} must be for {' or '.join(own)} targets, as task {task.name!r} has "
                f"by its loss with outputs={task.outputs}, but {part!r} is for "
                f"{' or '.join(types_of(part))} ones"
            )
    views = () if task.consistency is None else task.consistency.views
    blind = any(
        isinstance(view, Adversarial) and view.target_type == "multiclass" for view in views
    )
    rule = f"must not ask for an adversary of classes for {' or '.join(own)} targets"
    require(not blind or "multiclass" in own, task, "consistency", rule, task.consistency)


def require_metric(task: Task) -> None:
    """Requires of a task's metric, which may be a user's own, what a table tells of it."""
    metric = task.metric
    if isinstance(metric, type) or not isinstance(metric, Metric):
        return  # What is no metric is told where all fields are.
    named = isinstance(metric.name, str) and bool(metric.name)
    require(named, task, "metric", "must have a name that is a text", metric.name)
    better = metric.higher_is_better
    require(type(better) is bool, task, "metric", "must say if higher_is_better", better)
    number = type(metric.scale) in (int, float) and math.isfinite(metric.scale)
    require(number, task, "metric", "must have a scale that is a number", metric.scale)


def require_views(run: Any) -> None:
    """Requires of a run what the views of its tasks' methods are made with.

    Raises:
      BadInput: for a policy or a source that it does not have, or a policy that learns by
        probabilities of labels where all tasks predict numbers, or a teacher for targets of
        another type.
    """
    for field, views in (("medium", MEDIUM), ("strong", STRONG)):
        needing = [task.name for task in run.tasks if task.asks_for(views)]
        fine = getattr(run, field) is not None or not needing
        require(fine, run, field, f"is needed by the consistency of {needing}", None)
    needing = [task.name for task in run.tasks if asks_source(task)]
    rule = f"is needed by the consistency of {needing}"
    require(run.source is not None or not needing, run, "source", rule, None)
    types = {t for task in run.tasks for t in possible_types(task.loss, task.outputs)}
    fine = not isinstance(run.strong, LearntPolicy) or types != {"continuous"}
    rule = "must not learn by probabilities of labels, since all tasks predict numbers"
    require(fine, run, "strong", rule, run.strong)
    for task in run.tasks:
        rule = f"must teach {task.name!r} by a loss for the same type of targets"
        for other in (one for teacher in run.teachers for one in teacher.tasks):
            asked = asks_teacher(task) is not None and other.name == task.name
            require(not asked or teaches(other, task), run, "teachers", rule, other.loss)


def asks_source(task: Task) -> bool:
    """Whether a task's method sees the net that the run started from."""
    views = () if task.consistency is None else task.consistency.views
    return any(isinstance(view, Apart) and view.by == "source" for view in views)


def views_of(task: Task) -> tuple:
    """What a task's loss sees."""
    if task.consistency is None:
        return ("labelled",)
    if hasattr(task.consistency, "supervised"):
        return task.consistency.views
    return ("labelled", *task.consistency.views)


def teaches(teacher: Task, task: Task) -> bool:
    """Whether one task's outputs are of a form that another's method reads them in.

    Those of another number of outputs are left to another rule.
    """
    types = [set(possible_types(each.loss, each.outputs)) for each in (teacher, task)]
    return teacher.outputs != task.outputs or bool(types[0] & types[1])


def asks_teacher(task: Task) -> Stored | None:
    """What a task's method asks of a teacher, if it does."""
    views = () if task.consistency is None else task.consistency.views
    return next((view for view in views if isinstance(view, Stored)), None)


def replaced(item, changes: dict[str, Any]):
    """A copy with fields changed; an unknown field is refused with the near misses."""
    names = [field.name for field in dataclasses.fields(item)]
    for name in changes.keys() - set(names):
        require(False, item, name, f"is no field ({near(name, names)})", changes[name])
    return dataclasses.replace(item, **changes)
