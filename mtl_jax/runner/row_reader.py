"""Reads examples by index ahead of their use, in threads or processes."""

import collections
import concurrent.futures
import math
import multiprocessing
import os
import queue
import threading
from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from mtl_jax.core.rows import ConvertedRows, Rows, read_rows
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import few, require
from mtl_jax.runner.local_modules import PACKAGE
from mtl_jax.runner.reader_process import (
    SharedSlots,
    read_chunk,
    read_in_process,
    slot_bytes,
    start_process,
)
from mtl_jax.storage.processes import join_parts, own_part

MAX_BYTES = 2**20  # Of a chunk, which a worker reads at a time.
MAX_EXAMPLES = 512  # In a chunk.
THREADS = 8
CHUNKS_AHEAD = 8  # For each worker.
LEAST_FOR_PROCESSES = 20_000  # Examples; processes take seconds to start.


class Reading(NamedTuple):
    """A chunk that is being read."""

    future: concurrent.futures.Future
    rows: list[Rows]
    slot: int | None  # Of shared memory; None if the future has the examples.


class RowReader:
    """Reads examples of arrays and `Rows`; those of `Rows` in chunks, by workers.

    The executors of the standard library are used and not grain: the order of the examples is a
    function of the step, so there is nothing for a pipeline to shuffle or to store, and the
    workers of one pool serve training and evaluations.

    Attributes:
      rows: all `Rows` that are read.
      num_workers: number of processes; 0 reads in threads.
    """

    def __init__(self, data: Tree, num_examples: int, num_workers: int | None = None):
        """A reader, whose workers start with the first chunk.

        Args:
          data: a tree of all arrays and `Rows` that are read.
          num_examples: about how many examples are read.
          num_workers: number of processes; 0 reads in threads; None is as in `Execution`.

        Raises:
          BadInput: for processes, and `Rows` that they cannot import.
        """
        self.rows = [unconverted(leaf) for leaf in jax.tree.leaves(data) if isinstance(leaf, Rows)]
        local = [type(rows).__name__ for rows in self.rows if is_local(rows)]
        if num_workers is None:
            decodes = any(rows.takes_python for rows in self.rows)
            pays = decodes and not local and num_examples >= LEAST_FOR_PROCESSES
            num_workers = (os.cpu_count() or 1) if pays else 0
        rule = (
            f"must be 0 for {few(local, 3)}, which a module beside the experiment file can define"
        )
        require(num_workers == 0 or not local, "Execution", "num_workers", rule, num_workers)
        self.num_workers = num_workers
        self.places = {id(rows): place for place, rows in enumerate(self.rows)}
        self.executor: concurrent.futures.Executor | None = None
        self.slots: SharedSlots | None = None
        self.free: queue.SimpleQueue[int] = queue.SimpleQueue()  # Slots.
        self.lock = threading.Lock()

    def read(
        self, leaves: Sequence[np.ndarray | Rows], indices: Iterable[np.ndarray]
    ) -> Generator[list[np.ndarray]]:
        """The examples of several arrays at indices, in the order of the indices.

        If several processes train together, each reads its part of `Rows`; `join` puts the parts
        together.

        Args:
          leaves: arrays or `Rows` of the reader, `[N, ...]`.
          indices: indices `[n]`, for each item of the result.

        Yields:
          For each item of `indices`, the examples `[n, ...]` of every array.

        Raises:
          BadInput: as `Rows.read`.
        """
        own = [unconverted(leaf) for leaf in leaves if isinstance(leaf, Rows)]
        places, indices = [self.places[id(rows)] for rows in own], list(indices)
        size = chunk_size(own)
        mine = [own_part(index) for index in indices]
        parts = (part for index in mine for part in split(index, size)) if own else iter(())
        pending: collections.deque[Reading] = collections.deque()

        def submit() -> None:
            part = next(parts, None)
            if part is not None:
                pending.append(self.submit(places, part))

        try:
            for _ in range(CHUNKS_AHEAD * max(1, self.num_workers)):
                submit()
            for index, read_here in zip(indices, mine, strict=True):
                count = len(read_here)
                found = [np.empty((count, *rows.shape[1:]), rows.dtype) for rows in own]
                for part in split(np.arange(count), size) if own else ():
                    self.take(pending.popleft(), [a[part[0] : part[-1] + 1] for a in found])
                    submit()
                read = iter(found)
                yield [
                    converted(leaf, next(read))
                    if isinstance(leaf, Rows)
                    else read_rows(leaf, index)
                    for leaf in leaves
                ]
        finally:
            for reading in pending:
                reading.future.cancel()
                reading.future.add_done_callback(lambda _, own=reading: self.release(own))

    def submit(self, places: Sequence[int], index: np.ndarray) -> Reading:
        """Begins to read a chunk."""
        rows = [self.rows[place] for place in places]
        with self.lock:
            if self.executor is None:
                self.executor = self.start()
        if self.num_workers == 0:
            return Reading(self.executor.submit(read_chunk, rows, index), rows, None)
        try:
            slot = self.free.get_nowait()
        except queue.Empty:  # Then the examples are pickled.
            slot = None
        return Reading(self.executor.submit(read_in_process, places, index, slot), rows, slot)

    def take(self, reading: Reading, into: Sequence[np.ndarray]) -> None:
        """Waits for a chunk, and copies it into arrays."""
        try:
            chunks = reading.future.result()
            if reading.slot is not None:
                assert self.slots is not None
                chunks = self.slots.views(reading.slot, reading.rows, len(into[0]))
            for array, chunk in zip(into, chunks, strict=True):
                array[...] = chunk
        finally:
            self.release(reading)

    def release(self, reading: Reading) -> None:
        """Frees the slot of a chunk."""
        if reading.slot is not None:
            self.free.put(reading.slot)

    def start(self) -> concurrent.futures.Executor:
        """Starts the workers."""
        if self.num_workers == 0:
            return concurrent.futures.ThreadPoolExecutor(THREADS, "read-rows")
        context, count = multiprocessing.get_context("spawn"), CHUNKS_AHEAD * self.num_workers
        self.slots = SharedSlots(context, count, slot_bytes(self.rows, MAX_BYTES))
        for slot in range(count):
            self.free.put(slot)
        args = (self.rows, self.slots)
        return concurrent.futures.ProcessPoolExecutor(
            self.num_workers, context, start_process, args
        )

    def close(self) -> None:
        """Ends the workers."""
        with self.lock:
            if self.executor is not None:
                self.executor.shutdown(cancel_futures=True)
            self.executor = self.slots = None
            self.free = queue.SimpleQueue()


def join(
    leaves: Sequence[np.ndarray | Rows], found: Sequence[np.ndarray], count: int
) -> list[np.ndarray]:
    """The examples `[count, ...]` of arrays of which each process has read its part.

    All processes must call it alike, in their main threads.

    Args:
      leaves: the arrays, as of `RowReader.read`.
      found: what it has read of them.
      count: number of the examples.
    """
    return [
        join_parts(array, count) if isinstance(leaf, Rows) else array
        for leaf, array in zip(leaves, found, strict=True)
    ]


def is_local(rows: Rows) -> bool:
    """Whether an experiment file defines the class of rows, so that processes cannot import it."""
    return type(rows).__module__.startswith(f"{PACKAGE}.")


def chunk_size(rows: Sequence[Rows]) -> int:
    """Number of examples of a chunk."""
    per_example = sum(math.prod(each.shape[1:]) * each.dtype.itemsize for each in rows)
    return max(1, min(MAX_EXAMPLES, MAX_BYTES // max(1, per_example)))


def split(index: np.ndarray, size: int) -> list[np.ndarray]:
    """Indices in parts of some size; the last one may be smaller."""
    return [index[start : start + size] for start in range(0, len(index), size)]


def unconverted(rows: Rows) -> Rows:
    """The rows that are read, before they are converted."""
    return rows.rows if isinstance(rows, ConvertedRows) else rows


def converted(rows: Rows, examples: np.ndarray) -> np.ndarray:
    """What the rows make of examples that were read."""
    return rows.convert(examples) if isinstance(rows, ConvertedRows) else examples
