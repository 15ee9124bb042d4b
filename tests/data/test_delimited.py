"""CSV and TSV: dialects, quotes that are text, and any table that is written is read."""

import csv
import io

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import Format, read_columns


def read(folder, text, name="a.csv", **format):
    file = folder / name
    file.write_bytes(text.encode())
    return read_columns(file, None, Format(**format)).cells


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("a.csv", "a;b\n1,5;x\n2;y\n", {"delimiter": ";"}),
        ("a.csv", "sep=;\r\na;b\r\n1,5;x\r\n2;y\r\n", {}),
        ("a.csv", "a\tb\n1,5\tx\n2\ty\n", {"delimiter": "\t"}),
        ("a.tsv", "a|b\n1,5|x\n2|y\n", {"delimiter": "|"}),
        ("a.tsv", "a\tb\n1,5\tx\n2\ty\n", {}),
        ("a.csv", '# made by hand, "so\na,b\n# c\n"1,5",x\n2,y\n#\n', {"comment": "#"}),
        ("a.tsv", "%\ta\ta\na\tb\n1,5\tx\n2\ty\n", {"comment": "%"}),
        ("a.csv", 'a,b\n"1,5",x\n,\n2,y\n  , \n,\n', {}),
        ("a.tsv", "a\tb\n1,5\tx\n\t\n2\ty\n\t \n", {}),
        ("a.tsv", '"a"\t"b"\n"1,5"\t"x"\n""\t""\n"2"\t"y"\n', {}),
        ("a.csv", 'a,b\r"1,5",x\r2,y\r', {}),
    ],
)
def test_dialects(tmp_path, name, text, format):
    assert read(tmp_path, text, name, **format) == {"a": ["1,5", "2"], "b": ["x", "y"]}  # by hand


def test_a_comment_begins_no_line_within_a_cell(tmp_path):
    found = read(tmp_path, 'a,b\n"x\n# y",1\n#,2\n', comment="#")
    assert found == {"a": ["x\n# y"], "b": ["1"]}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "a.csv",
            "a;b\n1,5;x\n",
            r"a\.csv has one column, 'a;b': does ';' separate .*delimiter=';'",
        ),
        ("a.csv", "a\tb\n1\tx\n", r"has one column, .*delimiter='\\t'"),
        ("a.tsv", "a,b\n1,x\n", "has one column, 'a,b': .*delimiter=','"),
        (
            "a.csv",
            "a;b,c\n1,5;2,3\n",
            r"line 2 must have 2 cells.*if ';' separates, give delimiter",
        ),
        ("a.csv", "# by x\na,b\n1,2\n", "line 2 must have 1 cells .*, give comment='#'"),
        ("a.csv", "a,b\n1,2\n# end\n", "line 3 must have 2 cells .*, give comment='#'"),
        ("a.tsv", "a\tb\n1\n2\t3\n", "line 2 must have 2 cells as the header has, not 1"),
        ("a.tsv", 'a\tb\n"1\n2\t3\n', "line 2 must have 2 cells as the header has, not 1"),
    ],
)
def test_other_dialects_are_hinted_at(tmp_path, name, text, fault):
    with pytest.raises(BadInput, match=fault):
        read(tmp_path, text, name)


def test_cells_of_any_length(tmp_path):
    long = "the good " * 40_000  # Python's own limit is 131,072 characters.
    found = read(tmp_path, f'a,b\n"{long}",1\n')
    assert found == {"a": [long.strip()], "b": ["1"]}


GLUE = ["text\tlabel", "good one\t1", '"good two\t1', "bad\t0", 'bad b"\t0', "all\t1"]


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({}, ["good one", '"good two', "bad", 'bad b"', "all"]),
        ({4: '1 "\t0'}, ["good one", '"good two', "bad", '1 "', "all"]),
        ({4: "bad\t0"}, ["good one", '"good two', "bad", "bad", "all"]),
        ({2: '"good" is two\t1'}, ["good one", '"good" is two', "bad", 'bad b"', "all"]),
        ({2: '"good two"\t1'}, ["good one", "good two", "bad", 'bad b"', "all"]),
        ({2: '"a ""good"" two"\t1'}, ["good one", 'a "good" two', "bad", 'bad b"', "all"]),
        ({2: '"good two"\t1', 3: '"bad\t0'}, ["good one", '"good two"', '"bad', 'bad b"', "all"]),
        ({2: '"\t1'}, ["good one", '"', "bad", 'bad b"', "all"]),
    ],
)
def test_stray_quotes_of_tsv_swallow_no_row(tmp_path, changes, texts):
    lines = [changes.get(at, line) for at, line in enumerate(GLUE)]
    found = read(tmp_path, "\n".join(lines) + "\n", "a.tsv")
    assert found == {"text": texts, "label": [line.split("\t")[1] for line in lines[1:]]}


def test_a_quoted_tsv_is_read_as_it_was_written(tmp_path):
    rows = [["a", "b"], ["x\ty", "1"], ["two\nlines", "2"], ['say "x"', "3"], ["plain", "4"]]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        text = io.StringIO()
        csv.writer(text, delimiter="\t", quoting=quoting).writerows(rows)
        found = read(tmp_path, text.getvalue(), "a.tsv")
        assert found == {"a": [row[0] for row in rows[1:]], "b": ["1", "2", "3", "4"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'text,label\ngood,1\nfine,0\n"good a,1\nbad,0\nbad b",0\n'),
        ("a.csv", 'label,text\n1,good\n0,fine\n1,"good a\n0,bad\n0,bad b"\n'),
        ("a.tsv", 'text\tlabel\ngood\t1\n"good a\t1\nbad\n\tbad b"\t0\n'),
    ],
)
def test_rows_that_a_quote_swallowed_are_named(tmp_path, name, text):
    with pytest.raises(BadInput, match=r"lines [34] to \d are one row, by a quote that opens"):
        read(tmp_path, text, name)


def test_cells_of_several_lines_are_no_rows(tmp_path):
    found = read(tmp_path, 'text,label\ngood,1\n"one, two\nthree",0\n"a\nb,c\nd",1\n')
    assert found == {"text": ["good", "one, two\nthree", "a\nb,c\nd"], "label": ["1", "0", "1"]}


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
CELL |= st.sampled_from(['"', '""', '"a', "a\nb", "\r", "a,b", "a\tb", "'", "\u2028", "#", "\x85"])


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t"), ("csv", ";")])
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5), every=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_is_read_as_it_was_written(tmp_path_factory, suffix, delimiter, rows, every):
    if suffix == "tsv":  # A quoted row with both is no other than two rows of quotes as text.
        texts = ["".join(row) for row in rows]
        assume(not any("\t" in row and ("\n" in row or "\r" in row) for row in texts))
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([("x", "y", "z"), *rows])
    wanted = [tuple(cell.strip() for cell in row) for row in rows]
    wanted = [row for row in wanted if any(row)]
    assume(wanted)
    try:
        found = read(
            tmp_path_factory.getbasetemp(), text.getvalue(), f"any.{suffix}", delimiter=delimiter
        )
    except BadInput as refused:
        assert "look like rows" in str(refused)
        assert any("\n" in cell or "\r" in cell for row in rows for cell in row)
    else:
        assert list(zip(*found.values(), strict=True)) == wanted
