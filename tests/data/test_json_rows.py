"""JSON: layouts that programs write, and any rows that are written are read."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import Format, read_columns

ROWS = [{"text": "good", "label": 1}, {"text": "bad", "label": None}, {"text": "so", "label": 0}]
CELLS = {"text": ["good", "bad", "so"], "label": ["1", "", "0"]}


def read(folder, content, plain=("text", "label"), name="a.json", **format):
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_columns(file, plain, Format(**format)).cells


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        {"0": ROWS[0], "1": ROWS[1], "2": ROWS[2]},
        {"version": "1.0", "data": ROWS, "license": None},
        {
            "columns": ["text", "label"],
            "index": [0, 1, 2],
            "data": [["good", 1], ["bad", None], ["so", 0]],
        },
        {"text": {"0": "good", "1": "bad", "2": "so"}, "label": {"0": 1, "1": None, "2": 0}},
        {"text": {"0": "good", "1": "bad", "2": "so"}, "label": {"2": 0, "0": 1, "1": None}},
        {"text": ["good", "bad", "so"], "label": [1, None, 0]},
        {"schema": {"fields": []}, "data": ROWS},
    ],
    ids=["list", "dict", "hugging face", "split", "columns", "in any order", "lists", "table"],
)
def test_layouts(tmp_path, content):
    assert read(tmp_path, content) == CELLS  # by hand


@pytest.mark.parametrize("orient", ["records", "index", "columns", "split", "table"])
def test_what_pandas_writes(tmp_path, orient):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["good", "bad"], "label": ["x", "y"]})
    found = read(tmp_path, frame.to_json(orient=orient))
    assert {name: found[name] for name in frame} == frame.to_dict("list")


def test_rows_that_are_named_as_columns_are_rows(tmp_path):
    rows = {"text": {"a": 1, "b": 2}, "label": {"a": 3, "b": 4}}
    assert read(tmp_path, rows, None) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert read(tmp_path, rows, ("a",)) == {"a": ["1", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"train": ROWS, "test": ROWS}, r"must hold one list of rows, not \['train', 'test'\]"),
        (
            {"text": ["a", "b"], "label": [1]},
            "column 'label' must have a value for each of the same",
        ),
        ({"text": {"0": "a"}, "label": {"1": 1}}, "column 'label' must have a value for each"),
        ({"columns": ["text", "label"], "data": [["a", 1], ["b"]]}, "row 2 must have a value for"),
        ('[{"text": "a", "label": 1, "label": 0}]', "'label' occurs twice in one object"),
        ('{"0": {"text": "a"}, "0": {"text": "b"}}', "'0' occurs twice"),
        (
            r'[{"text": "good \ud83d", "label": 1}]',
            r"row 1: column 'text' must hold whole char.*ud83d",
        ),
        (
            [{"text": "a", "label": [0, 1]}],
            r"column 'label' must hold a scalar value, not \[0, 1\]",
        ),
    ],
)
def test_bad_layouts_are_named(tmp_path, content, fault):
    with pytest.raises(BadInput, match=rf"a\.json.*{fault}"):
        read(tmp_path, content)


def test_columns_that_nobody_wants_may_hold_halves(tmp_path):
    found = read(tmp_path, r'[{"text": "a", "label": 1, "bio": "\ud83d"}]')
    assert found["text"] == ["a"]


def test_numbers_keep_the_point_beside_a_decimal_comma(tmp_path):
    found = read(
        tmp_path, [{"text": "1.5", "label": 1.5}, {"text": "1,5", "label": 2}], decimal=","
    )
    assert found == {"text": ["1.5", "1,5"], "label": ["1,5", "2"]}


VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


@given(
    rows=st.lists(st.fixed_dictionaries({"a": VALUE, "b": VALUE}), min_size=1),
    escaped=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_rows_are_read_as_they_were_written(tmp_path_factory, rows, escaped):
    folder = tmp_path_factory.getbasetemp()
    lines = [json.dumps(row, ensure_ascii=escaped) for row in rows]
    wanted = {
        name: ["" if row[name] is None else str(row[name]).strip() for row in rows] for name in "ab"
    }
    (folder / "any.jsonl").write_bytes("\n".join(lines).encode())
    assert read_columns(folder / "any.jsonl").cells == wanted
    (folder / "any.json").write_bytes(f"[{', '.join(lines)}]".encode())
    assert read_columns(folder / "any.json").cells == wanted
