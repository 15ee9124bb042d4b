"""What goes through the net together in a step, and what in passes of its own."""

from collections.abc import Sequence
from typing import NamedTuple

from mtl_jax.config.task import Task, views_of
from mtl_jax.core.views import PLAIN, Adversarial, Apart, Mixed, Rotated, plain_parts


class Passes(NamedTuple):
    """The views that the tasks of a stream ask for, by the pass that they go through."""

    together: tuple[str | Mixed | Rotated, ...]  # whose statistics are kept
    apart: tuple[Apart, ...]
    against: tuple[tuple[str, Adversarial], ...]  # by task

    @property
    def plain(self) -> tuple[str, ...]:
        """The plain views that all of it is made of, in their order."""
        requests = (*self.together, *self.apart, *(request for _, request in self.against))
        needed = {part for request in requests for part in plain_parts(request)}
        return tuple(name for name in PLAIN if name in needed)

    @property
    def made(self) -> tuple[Mixed | Rotated, ...]:
        """The views that are made of images alone."""
        return tuple(view for view in self.together if not isinstance(view, str))


def passes(tasks: Sequence[Task]) -> Passes:
    """Sorts what some tasks ask for.

    Labelled images go first, unless every task has a loss of its own that does without them.
    """
    asked = [view for task in tasks for view in views_of(task)]
    together = [name for name in PLAIN if name in asked]
    together += [view for view in asked if isinstance(view, Mixed | Rotated)]
    apart = [view for view in asked if isinstance(view, Apart)]
    against = [
        (task.name, view)
        for task in tasks
        for view in views_of(task)
        if isinstance(view, Adversarial)
    ]
    return Passes(*(tuple(dict.fromkeys(views)) for views in (together, apart, against)))
