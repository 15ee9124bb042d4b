"""Rows: examples that are read when they are asked for behave as arrays do."""

import numpy as np
import pytest

from mtl_jax.core.rows import ConvertedRows, Rows, read_rows, select_rows


class Counted(Rows):
    """Rows of an array, which count what is read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.count = array, array.shape, array.dtype, 0

    def read(self, index):
        self.count += len(index)
        return self.array[index]

    def identity(self):
        return "counted"


ARRAY = np.arange(24).reshape(8, 3)


def test_indexing_is_that_of_arrays():
    rows = Counted(ARRAY)
    for index in (3, -1, slice(2, 5), np.array([4, 0, 4]), ARRAY[:, 0] > 9, [1, 2], []):
        np.testing.assert_array_equal(rows[index], ARRAY[index])
    for index in (8, -9, [0, 8], np.ones(3, bool)):
        with pytest.raises(IndexError):
            rows[index]
    np.testing.assert_array_equal(np.asarray(rows), ARRAY)
    assert np.asarray(rows, np.float32).dtype == np.float32
    assert len(rows) == 8 and rows.ndim == 2


def test_nothing_else_is_read():
    rows = Counted(ARRAY)
    some = select_rows(rows, np.array([7, 1, 2]))
    assert rows.count == 0 and some.shape == (3, 3)
    np.testing.assert_array_equal(read_rows(some, np.array([2, 0])), ARRAY[[2, 7]])
    assert rows.count == 2
    np.testing.assert_array_equal(select_rows(ARRAY, np.array([7, 1])), ARRAY[[7, 1]])
    assert some.identity() != rows.identity()


def test_which_are_there_is_passed_on():
    class Partly(Counted):
        takes_python = False

        def known(self):
            return ARRAY[:, 0] > 9

    rows = Partly(ARRAY)
    assert Counted(ARRAY).known() is None and Counted(ARRAY).select(np.arange(2)).known() is None
    assert rows.select(np.array([0, 7])).known().tolist() == [False, True]
    assert not rows.select(np.array([0])).takes_python
    converted = ConvertedRows(rows, np.abs, (8, 3), ARRAY.dtype)
    assert converted.known().sum() == 4 and not converted.takes_python


def test_converted_when_read():
    rows = ConvertedRows(Counted(ARRAY), lambda values: values / 2, (8, 3), np.dtype(float))
    np.testing.assert_array_equal(rows.read(np.array([5])), ARRAY[[5]] / 2)
