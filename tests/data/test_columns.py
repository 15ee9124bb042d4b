"""Columns: cells as they stand in files, what they say, and files that are refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import Columns, encode_categories, parse_numbers, read_columns


def write(folder, name, text):
    file = folder / name
    file.write_bytes(text.encode())
    return file


def column(*cells):
    return Columns({"x": list(cells)}, [("f.csv", f"line {at}") for at in range(2, len(cells) + 2)])


def test_a_csv_file(tmp_path):
    text = '\ufeffa, b ,c\r\n1, x y ,"2,5"\r\n\r\n,"two\nlines","a ""b"""\r\n'
    file = write(tmp_path, "t.csv", text)
    cells, places, _ = read_columns(file)
    assert cells == {"a": ["1", ""], "b": ["x y", "two\nlines"], "c": ["2,5", 'a "b"']}  # by hand
    assert places == [(file, "line 2"), (file, "line 5")]


def test_quotes_may_stand_after_spaces(tmp_path):
    cells, *_ = read_columns(write(tmp_path, "t.csv", 'a,b\n1, "x, y"\n2,x\n'))
    assert cells == {"a": ["1", "2"], "b": ["x, y", "x"]}


def test_a_tsv_file(tmp_path):
    cells, *_ = read_columns(write(tmp_path, "t.TSV", "a\tb\n1,5\t\n"))
    assert cells == {"a": ["1,5"], "b": [""]}


def test_json_lines(tmp_path):
    # The separator of lines U+2028 is part of a text in JSON.
    text = '{"a": "x\u2028y", "b": 1}\n\n{"b": null, "c": 0.1}\n{"a": true, "c": NaN}\n'
    file = write(tmp_path, "t.jsonl", text)
    cells, places, _ = read_columns(file)
    assert cells == {"a": ["x\u2028y", "", "True"], "b": ["1", "", ""], "c": ["", "0.1", "nan"]}
    assert places == [(file, "line 1"), (file, "line 3"), (file, "line 4")]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": 2}]', '{"0": {"a": 1}, "1": {"a": 2}}'])
def test_json(tmp_path, text):
    file = write(tmp_path, "t.json", text)
    cells, places, _ = read_columns(file)
    assert (cells, places) == ({"a": ["1", "2"]}, [(file, "row 1"), (file, "row 2")])


def test_columns_that_nobody_wants_may_hold_lists(tmp_path):
    file = write(tmp_path, "t.jsonl", '{"a": 1, "b": [1, 2], "c": {}}\n{"a": 2, "b": 3}\n')
    assert read_columns(file, ("a", "d")).cells == {"a": ["1", "2"], "b": ["", "3"], "c": ["", ""]}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.csv", "", "a.csv must have a header"),
        ("a.csv", "\n", "a.csv must have a header"),
        ("a.csv", "x,y\n", "a.csv must have rows"),
        ("a.csv", "x,y, x\n1,2,3\n", "must name each column once, not 'x' twice"),
        ("a.csv", "x,y\n1,2\n1\n", "a.csv, line 3 must have 2 cells as the header has, not 1"),
        ("a.tsv", "x\ty\n1\t2\t\n", "a.tsv, line 2 must have 2 cells as the header has, not 3"),
        ("a.csv", 'x,y\n1,2\n"3"4,5\n', "a.csv, line 3, cannot be read: "),
        ("a.csv", 'x,y\n1,"2\n', "a.csv, line 2, cannot be read: unexpected end"),
        ("a.jsonl", "\n", "a.jsonl must have rows"),
        ("a.jsonl", '{"x": 1}\n{"x": \n', "a.jsonl, line 2 must be JSON: "),
        ("a.json", "", "a.json must be JSON: "),
        ("a.json", "[]", "a.json must have rows"),
        ("a.json", "3", "a.json must be a list or a dict of rows, not 3"),
        ("a.json", '[{"x": 1}, 2]', "a.json, row 2 must be a JSON object, not 2"),
        ("a.jsonl", "[1]\n", r"a.jsonl, line 1 must be a JSON object, not \[1\]"),
        ("a.jsonl", '{"x": [1]}\n', r"line 1: column 'x' must hold a scalar value, not \[1\]"),
    ],
)
def test_bad_files_are_named(tmp_path, name, text, fault):
    with pytest.raises(BadInput, match=fault):
        read_columns(write(tmp_path, name, text))


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"x\n\xff\n")
    with pytest.raises(BadInput, match=r"b\.csv cannot be read: line 2 is not UTF-8 \(byte 0xff"):
        read_columns(tmp_path / "b.csv")
    with pytest.raises(BadInput, match=r"none\.csv cannot be read: .*No such file"):
        read_columns(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("cells", "places", "order"),
    [
        (("b", "a", "", "b", "?", "NaN"), [1, 0, -1, 1, -1, -1], ("a", "b")),
        (("10", "9", "9.0", "-1"), [2, 1, 1, 0], (-1, 9, 10)),
        (("10", "9", "x"), [0, 1, 2], ("10", "9", "x")),
        (("9007199254740993", "9007199254740992"), [1, 0], (9007199254740992, 9007199254740993)),
        (("1.5", "x"), [0, 1], ("1.5", "x")),
    ],
)
def test_classes_by_hand(cells, places, order):
    found, values = encode_categories(column(*cells), "x")
    assert found.dtype == np.int32 and found.tolist() == places and values == order


def test_numbers_by_hand():
    found = parse_numbers(column("1", "-2.5e3", "", "?", "nan", ".5"), "x")
    np.testing.assert_array_equal(found, [1.0, -2500.0, np.nan, np.nan, np.nan, 0.5])


@pytest.mark.parametrize(
    ("read", "cells", "fault"),
    [
        (
            encode_categories,
            ("1", "2.5"),
            "f.csv, line 3: column 'x' must hold names or integers",
        ),
        (encode_categories, ("", "?"), "f.csv: column 'x' must have a value"),
        (
            parse_numbers,
            ("1", "", "one"),
            "f.csv, line 4: column 'x' must hold finite numbers, not 'one'",
        ),
        (parse_numbers, ("inf",), "must hold finite numbers, not 'inf'"),
        (parse_numbers, ("1e39",), "must hold finite numbers, not '1e39'"),
        (parse_numbers, ("1_000",), "must hold finite numbers, not '1_000'"),
    ],
)
def test_bad_cells_are_named(read, cells, fault):
    with pytest.raises(BadInput, match=fault):
        read(column(*cells), "x")
