"""Groups the requested views of a step into joint and separate forward passes."""

from collections.abc import Sequence
from typing import NamedTuple

from mtl_jax.config.task import Task, required_views
from mtl_jax.core.base_views import BASE_VIEWS
from mtl_jax.core.views import (
    AdversarialView,
    CutMixView,
    FeatureDropoutView,
    MixedView,
    RotatedView,
    SeparatePass,
    base_views,
)

DerivedView = MixedView | CutMixView | RotatedView
JointView = str | DerivedView


class ViewRequests(NamedTuple):
    """The views that the tasks of a stream request, by kind of forward pass."""

    joint: tuple[JointView, ...]  # their batch statistics are kept
    separate: tuple[SeparatePass, ...]
    adversarial: tuple[tuple[str, AdversarialView], ...]  # by task

    @property
    def base(self) -> tuple[str, ...]:
        """The base views that all requests are made of, in the order of `BASE_VIEWS`."""
        requests = (*self.joint, *self.separate, *(request for _, request in self.adversarial))
        needed = {part for request in requests for part in base_views(request)}
        return tuple(name for name in BASE_VIEWS if name in needed)

    @property
    def derived(self) -> tuple[DerivedView, ...]:
        """The views that are derived from images alone."""
        return tuple(view for view in self.joint if not isinstance(view, str))


def group_requests(tasks: Sequence[Task]) -> ViewRequests:
    """Groups the view requests of the tasks.

    Labelled images come first, unless every task has its own loss that does not need them.
    """
    requested = [view for task in tasks for view in required_views(task)]
    decoded = [view.view for view in requested if isinstance(view, FeatureDropoutView)]
    joint: list[JointView] = [name for name in BASE_VIEWS if name in (*requested, *decoded)]
    joint += [view for view in requested if isinstance(view, DerivedView)]
    separate = [view for view in requested if isinstance(view, SeparatePass)]
    adversarial = [
        (task.name, view)
        for task in tasks
        for view in required_views(task)
        if isinstance(view, AdversarialView)
    ]
    return ViewRequests(
        tuple(dict.fromkeys(joint)),
        tuple(dict.fromkeys(separate)),
        tuple(dict.fromkeys(adversarial)),
    )
