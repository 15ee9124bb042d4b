"""Streamed training data: the examples of the next block of steps are read ahead."""

import concurrent.futures
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.tree import num_examples
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.row_reader import RowReader, join
from mtl_jax.runner.step_blocks import step_blocks
from mtl_jax.runner.streamed_shapes import (
    block_sizes,
    indices_of_steps,
    rows_per_step,
    without_examples,
)
from mtl_jax.train import TrainData

MAX_INDICES = 2**22  # That are computed at a time.


class Block(NamedTuple):
    """A block of steps whose examples were read."""

    start: int
    stop: int
    place: Callable[[], TrainData]  # Places them on the devices.


class StreamedData:
    """Training data of which a block of steps gets the examples that it reads.

    The examples of the next block are read and placed on the devices while one is trained. Their
    indices are the same function of the key and the step as those of data on the device, so
    results do not change, and there is no state of an iterator to store.
    """

    def __init__(
        self,
        compiled: CompiledRun,
        data: TrainData,
        splits: Any,
        other: "StreamedData | None" = None,
    ):
        """Places all but the examples on the devices.

        Args:
          compiled: the compiled run.
          data: the data, whose inputs and labels are arrays on the host or `Rows`.
          splits: the data of evaluations, which the same reader reads.
          other: one of the same examples, whose reader is used; None makes one.
        """
        self.compiled, self.host = compiled, data
        examples = [(stream.inputs, stream.labels) for stream in data.streams.values()]
        # Traced once: the sizes of all blocks follow from it.
        self.per_step = rows_per_step(compiled.run, data)
        self.indices_per_step = compiled.run.num_seeds * sum(self.per_step.values())
        count = compiled.run.steps * self.indices_per_step
        workers = compiled.execution.num_workers
        self.reader = other.reader if other else RowReader((examples, splits), count, workers)
        bare = without_examples(data)
        self.base = compiled.put_data(bare)
        # If several processes train, they are of this one alone, which reads ahead.
        alone = jax.tree.map(jnp.asarray, bare) if jax.process_count() > 1 else self.base
        self.pools = alone._replace(source_model=None)
        self.pool = concurrent.futures.ThreadPoolExecutor(1, "read-ahead")
        self.sequence: Generator[Block] | None = None
        self.upcoming: concurrent.futures.Future[Block | None] | None = None
        self.next_step: int | None = None

    def take(self, start: int, stop: int) -> TrainData:
        """The data of a block of steps; reads the next block ahead."""
        upcoming = self.upcoming
        if upcoming is None or self.next_step != start:
            self.close()
            self.sequence = self.blocks(start)
            upcoming = self.pool.submit(self.next_block)
        block = upcoming.result()
        if block is None or (block.start, block.stop) != (start, stop):
            raise ValueError(f"steps {start} to {stop} are no block of the run")
        self.next_step = stop
        self.upcoming = self.pool.submit(self.next_block)
        return block.place()

    def next_block(self) -> Block | None:
        """The next block of the sequence, on the devices; None after the last one."""
        block = None if self.sequence is None else next(self.sequence, None)
        # Processes exchange what they have read, in the order of their main threads.
        if block is None or jax.process_count() > 1:
            return block
        data = block.place()
        return block._replace(place=lambda: data)

    def read(self, start: int, stop: int) -> TrainData:
        """The data of any steps."""
        return next(self.read_blocks([(start, stop)])).place()

    def close(self) -> None:
        """Ends the reading ahead."""
        if self.upcoming is not None and not self.upcoming.cancel():
            concurrent.futures.wait([self.upcoming])
        if self.sequence is not None:
            self.sequence.close()
        self.upcoming = self.sequence = None

    def blocks(self, start: int) -> Generator[Block]:
        """The blocks from step `start` to the end, read ahead."""
        part: list[tuple[int, int]] = []
        for block in step_blocks(self.compiled.run, start, self.compiled.execution.steps_per_call):
            part.append(block)
            if (part[-1][1] - part[0][0]) * self.indices_per_step >= MAX_INDICES:
                yield from self.read_blocks(part)
                part = []
        yield from self.read_blocks(part)

    def read_blocks(self, blocks: Sequence[tuple[int, int]]) -> Generator[Block]:
        """Blocks from their first and last steps, read ahead."""
        every = [self.rows_of(start, stop) for start, stop in blocks]
        sizes = [
            block_sizes(self.compiled.run, self.host, self.per_step, stop - start)
            for start, stop in blocks
        ]
        readers = {
            name: self.read_stream(name, [rows[name] for rows in every])
            for name in self.base.streams
        }
        try:
            for (start, stop), rows, own in zip(blocks, every, sizes, strict=True):
                found = {name: next(reader) for name, reader in readers.items()}
                yield Block(start, stop, functools.partial(self.put, rows, found, own))
        finally:
            for reader in readers.values():
                reader.close()

    def read_stream(self, name: str, indices: Sequence[np.ndarray]) -> Generator[list]:
        """Reads inputs and labels of a stream."""
        return self.reader.read(self.leaves(name), indices)

    def leaves(self, name: str) -> list:
        """Inputs and labels of a stream."""
        stream = self.host.streams[name]
        return jax.tree.leaves((stream.inputs, stream.labels))

    def rows_of(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Indices of the examples that some steps read, by stream, ascending and different."""
        steps = start + jnp.arange(stop - start)
        found = jax.device_get(self.indices(self.pools, steps))
        return {name: np.unique(indices) for name, indices in found.items()}

    @functools.cached_property
    def indices(self) -> Callable:
        """The jitted `(data, steps) -> {stream: [S, steps, n]}`, as in `indices_of_steps`."""
        run, seeds = self.compiled.run, self.compiled.initial.seeds
        return jax.jit(functools.partial(indices_of_steps, run, seeds))

    def examples_at(self, rows: Mapping[str, np.ndarray]) -> TrainData:
        """The data of examples at ascending indices, by stream."""
        found = {name: next(self.read_stream(name, [index])) for name, index in rows.items()}
        return self.put(rows, found, {name: len(index) for name, index in rows.items()})

    def put(
        self,
        rows: Mapping[str, np.ndarray],
        found: Mapping[str, list],
        sizes: Mapping[str, int],
    ) -> TrainData:
        """Places examples that were read on the devices, with zeros up to some sizes."""
        streams = {}
        for name, own in found.items():
            host, size = self.host.streams[name], sizes[name]
            treedef = jax.tree.structure((host.inputs, host.labels))
            whole = join(self.leaves(name), own, len(rows[name]))
            padded = [pad(array, size, 0) for array in whole]
            inputs, labels = treedef.unflatten(padded)
            index = pad(rows[name].astype(np.int32), size, num_examples(host.inputs))
            bare = self.base.streams[name]
            streams[name] = bare._replace(inputs=inputs, labels=labels, rows=index)
        return self.compiled.put_data(self.base._replace(streams=streams))


def pad(array: np.ndarray, size: int, value: int) -> np.ndarray:
    """An array `[n, ...]` with further entries of a value, `[R, ...]`."""
    if len(array) == size:
        return array
    padded = np.full((size, *array.shape[1:]), value, array.dtype)
    padded[: len(array)] = array
    return padded
