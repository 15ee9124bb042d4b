"""ArrowTable: rows of Parquet and Arrow files, in memory or read when needed."""

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.data import ArrowTable
from tests.data.shapes import check_shapes


def table(count, seed=0, **changed):
    """A table of two features and three labels, with nulls among these."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["cat", "dog", None], object)
    columns = {
        "width": rng.random(count),
        "kind": kinds[np.arange(count) % 3],
        "height": rng.integers(0, 9, count),
        "level": pyarrow.array([None if n % 4 == 0 else n % 4 for n in range(count)]),
        "price": pyarrow.array([None if n % 5 == 0 else n / 2 for n in range(count)]),
    } | changed
    return pyarrow.table({name: c for name, c in columns.items() if c is not None})


def write(file, content):
    """Writes a table in the format of the file's suffix, in groups of seven rows."""
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(content, file, row_group_size=7)
    else:
        pyarrow.feather.write_feather(content, file, chunksize=7, compression="uncompressed")
    return file


def write_parts(root, suffix=".parquet", **parts):
    for at, part in enumerate(("train", "val", "test")):
        write(root / f"{part}{suffix}", parts.get(part, table(20 - at, at)))
    return str(root)


FIELDS = {"labels": ("kind", "level"), "numbers": ("price",)}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_rows_are_those_of_the_files(tmp_path, suffix):
    source = ArrowTable(write_parts(tmp_path, suffix), **FIELDS)
    check_shapes(source)
    assert source.classes() == {"kind": ("cat", "dog"), "level": (1, 2, 3)}
    train = source.load().train
    content = table(20)
    wanted = np.stack([content["width"].to_numpy(), content["height"].to_numpy()], 1)
    np.testing.assert_array_equal(train["inputs"], wanted.astype(np.float32))
    np.testing.assert_array_equal(train["kind"], np.resize([0, 1, -1], 20))
    np.testing.assert_array_equal(train["level"], np.resize([-1, 0, 1, 2], 20))
    price = np.where(np.arange(20) % 5 == 0, np.nan, np.arange(20) / 2)
    np.testing.assert_array_equal(train["price"], price.astype(np.float32))


def test_one_file_is_split_at_random(tmp_path):
    file = write(tmp_path / "all.parquet", table(60))
    source = ArrowTable(str(file), **FIELDS, validation=0.2, test=0.1)
    check_shapes(source)
    splits = source.open_splits()
    assert [len(part["inputs"]) for part in splits] == [42, 12, 6]
    assert isinstance(splits.train["inputs"], Rows)
    rows = np.concatenate([np.asarray(part["inputs"]) for part in splits])
    wanted = table(60)["width"].to_numpy().astype(np.float32)
    np.testing.assert_array_equal(np.sort(rows[:, 0]), np.sort(wanted))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"width": None}, r"val\.parquet must have the columns of .*they differ in \['width'\]"),
        ({"other": np.zeros(19)}, r"val\.parquet must have the columns .* differ in \['other'\]"),
        ({"kind": None}, r"val\.parquet must have columns \['kind'\]; it has \['width', 'height'"),
        ({"width": ["a"] * 19}, r"val\.parquet: columns width must be numeric, .* not string"),
        ({"price": ["a"] * 19}, r"val\.parquet: columns price must be numeric, .* not string"),
        ({"kind": np.zeros(19)}, r"column 'kind' must hold classes, .*, not float"),
    ],
)
def test_files_of_other_columns_are_named(tmp_path, changed, text):
    source = ArrowTable(write_parts(tmp_path, val=table(19, 1, **changed)), **FIELDS)
    with pytest.raises(BadInput, match=text):
        source.open_splits()


def test_features_must_be_there(tmp_path):
    width = pyarrow.array([None, *range(19)])
    source = ArrowTable(write_parts(tmp_path, train=table(20, width=width)), **FIELDS)
    with pytest.raises(BadInput, match=r"train\.parquet: column 'width' must have finite numbers"):
        source.load()
    rows = source.open_splits().train["inputs"]
    np.testing.assert_array_equal(rows.read(np.array([3]))[0, 0], 2)
    with pytest.raises(BadInput, match="not nan"):
        rows.read(np.array([5, 0]))


def test_a_file_that_is_no_table(tmp_path):
    for name in ("all.parquet", "all.arrow"):
        (tmp_path / name).write_text("text")
        with pytest.raises(BadInput, match=f"{name} cannot be read"):
            ArrowTable(str(tmp_path / name)).shapes()
    with pytest.raises(BadInput, match=r"must name a label"):
        ArrowTable("x", labels=())
