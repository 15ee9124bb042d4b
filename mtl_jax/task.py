"""A task is data: one thing to predict, and how unlabelled examples help."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.checks import near, require, require_count
from mtl_jax.protocols import Consistency, Metric
from mtl_jax.typed import typed
from mtl_jax.views import MEDIUM, PLAIN, STRONG, Apart, Stored, plain_parts


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to predict.

    Attributes:
      name: of the task and of its label in the data.
      outputs: numbers that its head puts out; of a classification, the classes C.
      loss: `(outputs [B, C], labels [B]) -> [B]`, one of `mtl_jax.losses`.
      metric: how predictions are judged.
      consistency: how unlabelled examples are used, if they are.
    """

    name: str
    outputs: int
    loss: Callable[..., jax.Array]
    metric: Metric
    consistency: Consistency | None = None

    def __post_init__(self):
        require(bool(self.name), self, "name", "must not be empty", self.name)
        rule = "must be of printable characters"
        require(self.name.isprintable(), self, "name", rule, self.name)
        require_count(self, outputs=1)
        require_metric(self)
        asked = () if self.consistency is None else self.consistency.views
        wrong = sorted({name for view in asked for name in plain_parts(view)} - {*PLAIN})
        rule = f"must ask for views that there are ({', '.join(PLAIN)})"
        require(not wrong, self, "consistency", rule, wrong)

    def asks_for(self, names: tuple[str, ...]) -> bool:
        """Whether its consistency method needs one of some plain views."""
        asked = () if self.consistency is None else self.consistency.views
        return any(name in names for view in asked for name in plain_parts(view))

    def but(self, **changes: Any) -> "Task":
        """The same task with some fields changed."""
        return replaced(self, changes)


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
      BadInput: for a policy or a source that it does not have.
    """
    for field, views in (("medium", MEDIUM), ("strong", STRONG)):
        needing = [task.name for task in run.tasks if task.asks_for(views)]
        fine = getattr(run, field) is not None or not needing
        require(fine, run, field, f"is needed by the consistency of {needing}", None)
    needing = [task.name for task in run.tasks if asks_source(task)]
    rule = f"is needed by the consistency of {needing}"
    require(run.source is not None or not needing, run, "source", rule, None)


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
