"""Features of tables by hand."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import Format, read_columns
from mtl_jax.predict import Column
from mtl_jax.predict.features import encode_columns

COLUMNS = (
    Column("age", center=2.0, scale=4.0, fill=(10.0,)),
    Column("port", categories=("A", "B"), fill=(0.25, 0.75)),
    Column("deck", categories=(1, 2)),
)


def table(tmp_path, *rows):
    file = tmp_path / "x.csv"
    file.write_text("\n".join(["deck;port;age;name", *rows]) + "\n")
    return read_columns(file, None, Format(delimiter=";", decimal=","))


def test_columns_by_name(tmp_path):
    columns = table(tmp_path, "2;A;4,0;x", "1.0;?;;y", "1;B;-2;z")
    wanted = [[0.5, 1, 0, 0, 1], [2.0, 0.25, 0.75, 1, 0], [-1.0, 0, 1, 1, 0]]
    columns.cells["deck"][1] = "1,0"
    np.testing.assert_array_equal(encode_columns(columns, COLUMNS), np.float32(wanted))


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            "3;A;1;x",
            r"line 2: column 'deck' must be a value of training \(there is 1, 2\), not '3'",
        ),
        (";A;1;x", "column 'deck' must have a value, not ''"),
        ("1;C;1;x", "column 'port' must be a value of training"),
        ("1;A;old;x", "column 'age' must hold finite numbers, not 'old'"),
    ],
)
def test_cells_that_are_not_of_training(tmp_path, row, text):
    with pytest.raises(BadInput, match=text):
        encode_columns(table(tmp_path, row), COLUMNS)


def test_missing_cells_and_columns(tmp_path):
    columns = table(tmp_path, "1;A;;x")
    with pytest.raises(BadInput, match="column 'age' must have a value, not ''"):
        encode_columns(columns, (Column("age"),))
    with pytest.raises(BadInput, match=r"must have the column 'ages' \(did you mean age"):
        encode_columns(columns, (Column("ages"),))
