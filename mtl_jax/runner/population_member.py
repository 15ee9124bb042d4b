"""A run of a population: its files, and what its errors do."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from mtl_jax.runner.evaluation import Measured
from mtl_jax.runner.training import Training
from mtl_jax.storage.run_directory import RunDirectory

Send = Callable[[list[dict[str, Any]]], None]


class Member:
    """A run of a population; after an error it trains on, unheeded, and the others go on.

    Attributes:
      place: its index in the population.
      folder: its folder.
      is_alive: whether it has not failed.
      training: its state at evaluations, and its files.
    """

    training: Training

    def __init__(self, place: int, folder: RunDirectory, stack: contextlib.ExitStack, send: Send):
        """A member of a population.

        Args:
          place: its index in the population.
          folder: its folder.
          stack: the contexts that handle its errors.
          send: sends its records to trackers.
        """
        self.place, self.folder, self.stack, self.send = place, folder, stack, send
        self.is_alive = True

    def attempt(self, action: Callable[..., Any], *args: Any) -> None:
        """Calls a function; if it raises, the contexts of the member's stack see the error."""
        try:
            action(*args)
        except BaseException:
            self.is_alive = False
            if not self.stack.__exit__(*sys.exc_info()):
                raise


def evaluate_member(member: Member, step: int, measured: Measured | None) -> None:
    """Evaluates a member, and sends its records to the trackers."""
    member.training.evaluate(step, measured)
    member.send(member.training.records)


def raise_error(error: Exception) -> None:
    """Raises an error."""
    raise error
