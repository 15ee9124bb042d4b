"""How files of tables and texts are written: settings by hand, pandas, and what is refused."""

import io
import json
import warnings

import numpy as np
import pytest

from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import Table, Texts

SETTINGS = {"validation": 0.2, "test": 0.2, "standardize": False}


def lengths(texts):
    """Tokens of texts."""
    return np.array([[len(text)] for text in texts], np.int32).reshape(-1, 1)


def write(folder, name, text, encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return str(folder / name)


def together(splits, name):
    """An array of all parts in the order of the first feature, which numbers the rows."""
    order = np.argsort(np.concatenate([part["inputs"][:, 0] for part in splits]))
    return np.concatenate([part[name] for part in splits])[order]


def test_a_european_table_as_pandas_reads_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    text = "row;size;kind\n" + "".join(f"{at};{at},5;{'ab'[at % 2]}\n" for at in range(20))
    path = write(tmp_path, "a.csv", text)
    wanted = pandas.read_csv(io.StringIO(text), sep=";", decimal=",")
    splits = Table(path, ("kind",), delimiter=";", decimal=",", **SETTINGS).load()
    np.testing.assert_array_equal(together(splits, "inputs"), wanted[["row", "size"]].to_numpy())
    np.testing.assert_array_equal(together(splits, "kind"), (wanted["kind"] == "b").to_numpy())
    with pytest.raises(
        BadInput, match=r"column 'size' .*decimal mark, give decimal=','\), not '0,5'"
    ):
        Table(path, ("kind",), delimiter=";", **SETTINGS).load()
    with pytest.raises(BadInput, match=r"column 'size' must hold finite numbers, not '0\.5'"):
        point = write(tmp_path, "b.csv", text.replace(",", "."))
        Table(point, ("kind",), delimiter=";", decimal=",", **SETTINGS).load()


def test_excels_unicode_text(tmp_path):
    text = "row\tkind\r\n" + "".join(f"{at}\t{'áb'[at % 2]}\r\n" for at in range(20))
    splits = Table(write(tmp_path, "a.tsv", text, "utf-16"), ("kind",), **SETTINGS).load()
    np.testing.assert_array_equal(together(splits, "kind"), [1, 0] * 10)


@pytest.mark.parametrize(
    "mark", ["NA", "N/A", "null", "None", "#N/A", "NULL", "<NA>", "n/a", "nan", "?"]
)
def test_gaps_of_labels_features_and_categories(tmp_path, mark):
    cells = [mark if at % 4 == 0 else at / 2 for at in range(20)]
    kinds = [mark if at % 5 == 0 else "pq"[at % 2] for at in range(20)]
    text = "row,size,kind,y\n" + "".join(
        f"{at},{cells[at]},{kinds[at]},{mark if at % 3 == 0 else 'ab'[at % 2]}\n"
        for at in range(20)
    )
    source = Table(write(tmp_path, "a.csv", text), categories=("kind",), fill="mean", **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        splits = source.load()
    wanted = [-1 if at % 3 == 0 else at % 2 for at in range(20)]
    np.testing.assert_array_equal(together(splits, "y"), wanted)
    image = together(splits, "inputs")
    assert image.shape == (20, 4) and source.classes() == {"y": ("a", "b")}
    known = [at for at in range(20) if at % 4]
    np.testing.assert_array_equal(image[known, 1], [at / 2 for at in known])
    known = [at for at in range(20) if at % 5]
    np.testing.assert_array_equal(image[known, 3], [at % 2 for at in known])


def test_marks_that_count_as_missing_are_told_once_a_load(tmp_path):
    text = "row,y\n" + "".join(f"{at},{['None', 'a', 'b'][at % 3]}\n" for at in range(21))
    path = write(tmp_path, "a.csv", text)
    rule = r"Table: column 'y' of .*a\.csv has 7 cells 'None', .* give not_missing=\('None',\)"
    with pytest.warns(DataWarning, match=rule) as found:
        Table(path, **SETTINGS).load()
    assert len(found) == 1
    source = Table(path, not_missing=("None",), **SETTINGS)
    assert source.classes() == {"y": ("None", "a", "b")}
    np.testing.assert_array_equal(together(source.load(), "y"), [0, 1, 2] * 7)
    source = Table(path, missing=("b",), not_missing=("None",), **SETTINGS)
    assert source.classes() == {"y": ("None", "a")}
    np.testing.assert_array_equal(together(source.load(), "y"), [0, 1, -1] * 7)


def test_ones_own_mark_of_a_feature_is_filled(tmp_path):
    text = "row,size,y\n" + "".join(f"{at},{-999 if at == 7 else 4},{at % 2}\n" for at in range(20))
    source = Table(write(tmp_path, "a.csv", text), missing=("-999",), fill="mean", **SETTINGS)
    np.testing.assert_array_equal(together(source.load(), "inputs")[:, 1], 4)


def test_codes_among_features_are_told(tmp_path):
    text = "row,post,month,y\n" + "".join(f"{at},{at + 10:05},{at},{at % 2}\n" for at in range(20))
    path = write(tmp_path, "a.csv", text)
    with pytest.warns(
        DataWarning, match="column 'post' .* such as '00010', read as numbers"
    ) as found:
        splits = Table(path, **SETTINGS).load()
    np.testing.assert_array_equal(together(splits, "inputs")[:, 1], np.arange(10, 30))
    assert len(found) == 1
    assert Table(path, categories=("post",), **SETTINGS).load().train["inputs"].shape == (12, 22)


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Train", "VAL", "Test")])
def test_names_of_parts(tmp_path, names):
    for at, name in enumerate(names):
        write(tmp_path, f"{name}.CSV", f"row,y\n{at},0\n{at + 10},1\n")
    assert [part["y"].tolist() for part in Table(str(tmp_path)).load()] == [[0, 1]] * 3


def test_comments_are_left_out(tmp_path):
    text = "# made, by\nrow,y\n" + "".join(f"{at},{at % 2}\n# {at}\n" for at in range(20))
    splits = Table(write(tmp_path, "a.csv", text), comment="#", **SETTINGS).load()
    np.testing.assert_array_equal(together(splits, "y"), [0, 1] * 10)


def test_labels_of_texts_in_json(tmp_path):
    labels = [None, "None", 1, 1.0, "1", 0, 2]
    lines = [json.dumps({"text": "x" * (at + 1), "label": labels[at % 7]}) for at in range(35)]
    source = Texts(write(tmp_path, "a.jsonl", "\n".join(lines)), lengths, validation=0.2, test=0.2)
    with pytest.warns(DataWarning, match="has 5 cells 'None', which count as missing"):
        splits = source.load()
    assert source.classes() == {"label": (0, 1, 2)}
    np.testing.assert_array_equal(together(splits, "label"), [-1, -1, 1, 1, 1, 0, 2] * 5)
    lines = [json.dumps({"text": "x" * (at + 1), "label": at % 2 == 1}) for at in range(20)]
    source = Texts(write(tmp_path, "b.jsonl", "\n".join(lines)), lengths)
    assert source.classes() == {"label": ("False", "True")}


def test_separators_of_unicode_are_text(tmp_path):
    rows = [{"text": f"{at}\u2028x\x85y\x0c{at}", "label": at % 2} for at in range(20)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    jsonl = write(tmp_path, "a.jsonl", "\n".join(lines))
    csv = write(
        tmp_path, "a.csv", "text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in rows)
    )
    tsv = write(
        tmp_path, "a.tsv", "text\tlabel\n" + "".join(f"{r['text']}\t{r['label']}\n" for r in rows)
    )
    for path in (jsonl, csv, tsv):
        assert Texts(path, lengths).shapes()["label"].shape == (16,)
        assert Texts(path, lengths).read()[0].cells["text"] == [row["text"] for row in rows]


@pytest.mark.parametrize("text", ["", "  ", "\u200b\u200d", "\ufeff \u00a0", "\x07"])
def test_texts_that_nobody_sees_are_refused(tmp_path, text):
    lines = [json.dumps({"text": one, "label": 0}) for one in ("a", "b", text)]
    with pytest.raises(BadInput, match=r"a\.jsonl, line 3: column 'text' must have a text"):
        Texts(write(tmp_path, "a.jsonl", "\n".join(lines)), lengths).load()


def test_a_text_may_say_none(tmp_path):
    lines = [
        json.dumps({"text": text, "label": 0}) for text in ("None", "NA", "?", "😀", "\ue000", "n")
    ]
    path = write(tmp_path, "a.jsonl", "\n".join(lines))
    source = Texts(path, lengths, validation=0.2, test=0.2)
    assert source.read()[0].cells["text"] == ["None", "NA", "?", "😀", "\ue000", "n"]


def test_a_run_keeps_its_identity():
    # The settings that were added are left out of the text where they are not used.
    assert "missing" not in to_source(Table("a.csv")) and "decimal" not in to_source(Table("a.csv"))
    assert "delimiter=';'" in to_source(Table("a.csv", delimiter=";"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"delimiter": ";;"}, "delimiter must be a character or None, not ';;'"),
        ({"delimiter": '"'}, "delimiter must be a character or None"),
        ({"not_missing": ("NONE",)}, "not_missing must be some of .*'None'.* not 'NONE'"),
        ({"not_missing": ("",)}, "not_missing must be some of"),
        (
            {"not_missing": ("NA",), "missing": ("NA",)},
            "not_missing must be some of .*not in missing",
        ),
    ],
    ids=str,
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=rf"Table\.{text}"):
        Table("a.csv", **settings)
    with pytest.raises(BadInput, match=rf"Texts\.{text}"):
        Texts("a.csv", lengths, **settings)
