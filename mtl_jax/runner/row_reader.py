"""Reads examples by index ahead of their use, in threads or processes."""

import collections
import concurrent.futures
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Generator, Iterable, Sequence

import jax
import numpy as np

from mtl_jax.core.rows import ConvertedRows, Rows, read_rows
from mtl_jax.core.tree import Tree

MAX_BYTES = 2**20  # Of a chunk, which a worker reads at a time.
MAX_EXAMPLES = 512  # In a chunk.
THREADS = 8
CHUNKS_AHEAD = 8  # For each worker.
LEAST_FOR_PROCESSES = 20_000  # Examples; processes take seconds to start.


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
        """
        self.rows = [unconverted(leaf) for leaf in jax.tree.leaves(data) if isinstance(leaf, Rows)]
        if num_workers is None:
            decodes = any(rows.takes_python for rows in self.rows)
            pays = decodes and num_examples >= LEAST_FOR_PROCESSES
            num_workers = (os.cpu_count() or 1) if pays else 0
        self.num_workers = num_workers
        self.places = {id(rows): place for place, rows in enumerate(self.rows)}
        self.executor: concurrent.futures.Executor | None = None
        self.lock = threading.Lock()

    def read(
        self, leaves: Sequence[np.ndarray | Rows], indices: Iterable[np.ndarray]
    ) -> Generator[list[np.ndarray]]:
        """The examples of several arrays at indices, in the order of the indices.

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
        parts = (part for index in indices for part in split(index, size)) if own else iter(())
        pending: collections.deque[concurrent.futures.Future] = collections.deque()

        def submit() -> None:
            part = next(parts, None)
            if part is not None:
                pending.append(self.submit(places, part))

        try:
            for _ in range(CHUNKS_AHEAD * max(1, self.num_workers)):
                submit()
            for index in indices:
                found = [np.empty((len(index), *rows.shape[1:]), rows.dtype) for rows in own]
                for part in split(np.arange(len(index)), size) if own else ():
                    for array, chunk in zip(found, pending.popleft().result(), strict=True):
                        array[part[0] : part[-1] + 1] = chunk
                    submit()
                read = iter(found)
                yield [
                    converted(leaf, next(read))
                    if isinstance(leaf, Rows)
                    else read_rows(leaf, index)
                    for leaf in leaves
                ]
        finally:
            for future in pending:
                future.cancel()

    def submit(self, places: Sequence[int], index: np.ndarray) -> concurrent.futures.Future:
        """Begins to read a chunk."""
        with self.lock:
            if self.executor is None:
                self.executor = self.start()
        if self.num_workers > 0:
            return self.executor.submit(read_in_process, places, index)
        return self.executor.submit(read_chunk, [self.rows[place] for place in places], index)

    def start(self) -> concurrent.futures.Executor:
        """Starts the workers."""
        if self.num_workers == 0:
            return concurrent.futures.ThreadPoolExecutor(THREADS, "read-rows")
        return concurrent.futures.ProcessPoolExecutor(
            self.num_workers, multiprocessing.get_context("spawn"), start_process, (self.rows,)
        )

    def close(self) -> None:
        """Ends the workers."""
        with self.lock:
            if self.executor is not None:
                self.executor.shutdown(cancel_futures=True)
            self.executor = None


process_rows: list[Rows] = []  # Of a worker process.


def start_process(rows: list[Rows]) -> None:
    """Prepares a worker process, which ends with its parent; signals are the parent's to handle."""
    process_rows[:] = rows
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def read_in_process(places: Sequence[int], index: np.ndarray) -> list[np.ndarray]:
    """Reads a chunk of the rows of this process."""
    return read_chunk([process_rows[place] for place in places], index)


def read_chunk(rows: Sequence[Rows], index: np.ndarray) -> list[np.ndarray]:
    """The examples `[n, ...]` of rows at indices `[n]`."""
    return [each.read(index) for each in rows]


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
