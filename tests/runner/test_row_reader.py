"""RowReader: examples by index, in threads and in processes."""

import numpy as np
import pytest

from mtl_jax.core.rows import ConvertedRows, Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import row_reader
from mtl_jax.runner.row_reader import RowReader

ARRAY = np.random.default_rng(0).random((50, 3, 5))


class Stored(Rows):
    """Rows of an array; one of them cannot be read."""

    def __init__(self, array, damaged=None):
        self.array, self.damaged = array, damaged
        self.shape, self.dtype = array.shape, array.dtype

    def read(self, index):
        if self.damaged in index:
            raise BadInput(f"example {self.damaged} cannot be read")
        return self.array[index]

    def identity(self):
        return "stored"


def halve(values):
    return (values / 2).astype(np.float32)


LEAVES = [
    Stored(ARRAY),
    np.arange(50),
    ConvertedRows(Stored(ARRAY + 1), halve, ARRAY.shape, np.dtype(np.float32)),
    Stored(np.arange(50, dtype=np.uint8)),
]
INDICES = [np.array([3, 1, 1]), np.arange(50), np.array([], int), np.array([49])]


@pytest.fixture(params=[0, 1], ids=["threads", "a process"])
def reader_of(request, monkeypatch):
    monkeypatch.setattr(row_reader, "MAX_EXAMPLES", 4)
    made = []

    def make(leaves):
        made.append(RowReader(leaves, 0, request.param))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def check(reader, leaves, indices):
    for index, found in zip(indices, reader.read(leaves, indices), strict=True):
        for leaf, array in zip(leaves, found, strict=True):
            np.testing.assert_array_equal(array, leaf[index])
            assert array.dtype == leaf.dtype


def test_examples_are_those_at_the_indices(reader_of):
    reader = reader_of(LEAVES)
    check(reader, LEAVES, INDICES)
    check(reader, LEAVES[2:], INDICES[:2])
    first, second = (reader.read(LEAVES, [np.arange(50)] * 2) for _ in range(2))
    for _ in range(2):  # Both read ahead, with more chunks than there are slots.
        for one, other in zip(next(first), next(second), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_error_is_raised_and_the_reader_goes_on(reader_of):
    leaves = [Stored(ARRAY, damaged=30)]
    reader = reader_of(leaves)
    with pytest.raises(BadInput, match="example 30 cannot be read"):
        list(reader.read(leaves, [np.arange(50)]))
    check(reader, leaves, [np.arange(20)])


def test_what_is_not_read_to_its_end_leaves_its_slots(reader_of):
    reader = reader_of(LEAVES)
    for _ in range(20):
        reading = reader.read(LEAVES, [np.arange(50)] * 5)
        next(reading)
        reading.close()
    check(reader, LEAVES, INDICES)
    if reader.num_workers:
        reader.executor.shutdown()
        assert reader.free.qsize() == row_reader.CHUNKS_AHEAD


def test_rows_of_an_experiment_file_are_read_in_threads(monkeypatch):
    monkeypatch.setattr(Stored, "__module__", "experiments.own")
    assert RowReader([Stored(ARRAY)], 20_000).num_workers == 0
    with pytest.raises(BadInput, match=r"Execution\.num_workers must be 0 for Stored, .*, not 2"):
        RowReader([Stored(ARRAY)], 0, 2)


def test_processes_start_where_they_pay():
    assert RowReader([Stored(ARRAY)], 19_999).num_workers == 0
    assert RowReader([Stored(ARRAY)], 20_000).num_workers >= 1
    assert RowReader([ARRAY], 20_000).num_workers == 0
    quick = Stored(ARRAY)
    quick.takes_python = False
    assert RowReader([quick], 20_000).num_workers == 0
