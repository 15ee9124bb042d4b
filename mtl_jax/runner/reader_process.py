"""A process that reads examples, and leaves them in memory that it shares with its parent."""

import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mtl_jax.core.rows import Rows


class SharedSlots:
    """Memory that processes share, in slots of one size each.

    Attributes:
      array: the memory, a `multiprocessing.RawArray`, which no file outlives.
      slot_bytes: size of a slot.
    """

    def __init__(self, context: Any, count: int, slot_bytes: int):
        self.array, self.slot_bytes = context.RawArray("B", count * slot_bytes), slot_bytes

    def views(self, slot: int, rows: Sequence[Rows], count: int) -> Iterator[np.ndarray]:
        """Views of a slot as arrays of `count` examples of each rows."""
        offset = slot * self.slot_bytes
        for each in rows:
            shape = (count, *each.shape[1:])
            size = int(np.prod(shape))
            yield np.frombuffer(self.array, each.dtype, size, offset).reshape(shape)
            offset += -(-size * each.dtype.itemsize // 16) * 16  # Aligned.


def slot_bytes(rows: Sequence[Rows], least: int) -> int:
    """Size of a slot for chunks of `least` bytes, or of one example of all rows if that is more."""
    example = sum(int(np.prod(each.shape[1:])) * each.dtype.itemsize for each in rows)
    return max(least, example) + 16 * len(rows)


# Of this process, if it reads.
process_rows: list[Rows] = []
process_slots: list[SharedSlots] = []


def start_process(rows: list[Rows], slots: SharedSlots) -> None:
    """Prepares a process, which ends with its parent; signals are the parent's to handle."""
    process_rows[:], process_slots[:] = rows, [slots]
    gc.freeze()  # Imported modules need not be looked through at every collection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def read_in_process(
    places: Sequence[int], index: np.ndarray, slot: int | None
) -> list[np.ndarray] | None:
    """Reads a chunk of the rows at some places into a slot, or returns it without one."""
    rows = [process_rows[place] for place in places]
    found = read_chunk(rows, index)
    if slot is None:
        return found
    for view, array in zip(process_slots[0].views(slot, rows, len(index)), found, strict=True):
        view[...] = array
    return None


def read_chunk(rows: Sequence[Rows], index: np.ndarray) -> list[np.ndarray]:
    """The examples `[n, ...]` of rows at indices `[n]`."""
    return [each.read(index) for each in rows]
