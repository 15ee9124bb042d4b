"""What observes a run in training, without changing its results."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mtl_jax.runner.progress import ProgressDisplay


def discard(records: list[dict[str, Any]]) -> None:
    """Sends records nowhere."""


class Observers(NamedTuple):
    """What observes a run in training.

    Attributes:
      display: shows the progress after every block, and warnings.
      send: called with the records so far after every evaluation.
      profile_steps: the least number of steps to profile; 0 for none.
      debug: whether the operation is located that makes a run diverge.
    """

    display: ProgressDisplay
    send: Callable[[list[dict[str, Any]]], None] = discard
    profile_steps: int = 0
    debug: bool = False
