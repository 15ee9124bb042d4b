"""Signals that stop a launch: a run in training stops at the end of its block."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator
from types import FrameType
from typing import Self

# SLURM sends SIGUSR2 some time before it ends a job, if asked to.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


class Stopped(BaseException):
    """A signal stopped the launch; not an `Exception`, since no row has failed."""

    def __init__(self, number: int, text: str = ""):
        super().__init__(text or "stopped; launch again to go on")
        self.exit_code = 128 + number
        self.name = signal.Signals(number).name


class StopSignals:
    """Handles SIGINT (Ctrl-C), SIGTERM, SIGHUP and SIGUSR2 while it is entered.

    Signals that the process ignores, such as SIGHUP under `nohup`, stay ignored.

    The first signal raises `Stopped`, or in a `deferred` part is only noted. The second one ends the
    process at once, unless `second_ends` is False.

    Attributes:
      second_ends: False where one stop may come as several signals, such as from a terminal and
        from the process that started this one.
      number: number of the first signal, None before it.
    """

    def __init__(self, second_ends: bool = True):
        self.second_ends = second_ends
        self.number: int | None = None
        self.is_deferred = False
        self.previous = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            ignored = (signal.SIG_IGN, None)  # None: code other than Python handles it.
            handled = [number for number in SIGNALS if signal.getsignal(number) not in ignored]
            self.previous = {number: signal.signal(number, self.handle) for number in handled}
        return self

    def __exit__(self, *_):
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handles a signal."""
        if self.number is not None:
            if not self.second_ends:
                return
            with contextlib.suppress(RuntimeError):  # It may interrupt a write.
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(128 + number)
        self.number = number
        if not self.is_deferred:
            raise Stopped(number)

    @contextlib.contextmanager
    def deferred(self) -> Generator[None, None, None]:
        """A part that signals do not interrupt; it asks for `number` and raises `Stopped` itself."""
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False
