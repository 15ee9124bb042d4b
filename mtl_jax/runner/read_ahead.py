"""Reads examples by index ahead of their use, by grain's threads or worker processes."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import SupportsIndex

import numpy as np

from mtl_jax.core.rows import ConvertedRows, Rows, read_rows

MAX_BYTES = 2**20  # Of a chunk, which a worker reads at a time.
MAX_EXAMPLES = 512  # In a chunk.
THREADS = 8
PREFETCHED = 16  # Chunks that threads, or each process, read ahead.
LEAST_FOR_PROCESSES = 20_000  # Examples; processes take seconds to start.


@dataclasses.dataclass(frozen=True)
class ChunkSource:
    """Chunks of examples, as grain reads them.

    Attributes:
      leaves: the arrays to read from.
      chunks: the indices of each chunk.
    """

    leaves: Sequence[Rows]
    chunks: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, index: SupportsIndex) -> list[np.ndarray]:
        return [leaf.read(self.chunks[int(index)]) for leaf in self.leaves]


def read_ahead(
    leaves: Sequence[np.ndarray | Rows],
    indices: Iterable[np.ndarray],
    num_workers: int | None = None,
) -> Generator[list[np.ndarray]]:
    """The examples of several arrays at indices, in the order of the indices.

    Arrays in memory are read at once; `Rows` ahead, in chunks.

    Args:
      leaves: arrays or `Rows`, `[N, ...]`.
      indices: indices `[n]`, for each item of the result.
      num_workers: number of processes that read; 0 reads in threads; None is as in `Execution`.

    Yields:
      For each item of `indices`, the examples `[n, ...]` of every array.

    Raises:
      BadInput: as `Rows.read`.
    """
    indices = list(indices)
    on_disk = [unconverted(leaf) for leaf in leaves if isinstance(leaf, Rows)]
    with read_chunks(on_disk, indices, num_workers) as chunks:
        for index in indices:
            found = iter(take_chunks(on_disk, index, chunks))
            yield [
                converted(leaf, next(found)) if isinstance(leaf, Rows) else read_rows(leaf, index)
                for leaf in leaves
            ]


@contextlib.contextmanager
def read_chunks(
    leaves: Sequence[Rows], indices: Sequence[np.ndarray], num_workers: int | None
) -> Generator[Iterator[list[np.ndarray]]]:
    """The chunks of all indices; its threads or processes end with the context."""
    if not leaves:
        yield iter(())
        return
    import grain  # Imported late: it takes a second.
    from absl import flags

    size = chunk_size(leaves)
    chunks = [part for index in indices for part in split(index, size)]
    if num_workers is None:
        count = sum(len(index) for index in indices)
        num_workers = (os.cpu_count() or 1) if count >= LEAST_FOR_PROCESSES else 0
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=PREFETCHED)
    dataset = grain.MapDataset.source(ChunkSource(leaves, chunks)).to_iter_dataset(options)
    if num_workers > 0:
        if not flags.FLAGS.is_parsed():  # grain reads one of its own.
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers, per_worker_buffer_size=PREFETCHED)
        dataset = dataset.mp_prefetch(options)
    iterator = iter(dataset)
    try:
        yield iterator
    finally:
        iterator.close()


def chunk_size(leaves: Sequence[Rows]) -> int:
    """Number of examples of a chunk."""
    per_example = sum(math.prod(leaf.shape[1:]) * leaf.dtype.itemsize for leaf in leaves)
    return max(1, min(MAX_EXAMPLES, MAX_BYTES // max(1, per_example)))


def split(index: np.ndarray, size: int) -> list[np.ndarray]:
    """Indices in parts of some size; the last one may be smaller."""
    return [index[start : start + size] for start in range(0, len(index), size)]


def take_chunks(
    leaves: Sequence[Rows], index: np.ndarray, chunks: Iterator[list[np.ndarray]]
) -> list[np.ndarray]:
    """The examples at an index, of its chunks."""
    found = [np.empty((len(index), *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    for part in split(np.arange(len(index)), chunk_size(leaves)) if leaves else ():
        for array, chunk in zip(found, next(chunks), strict=True):
            array[part[0] : part[-1] + 1] = chunk
    return found


def unconverted(rows: Rows) -> Rows:
    """The rows that are read, before they are converted."""
    return rows.rows if isinstance(rows, ConvertedRows) else rows


def converted(rows: Rows, examples: np.ndarray) -> np.ndarray:
    """What the rows make of examples that were read."""
    return rows.convert(examples) if isinstance(rows, ConvertedRows) else examples
