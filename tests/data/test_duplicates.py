"""Parts that are no parts: one file twice, and rows that stand in two of them."""

import json
import warnings

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import UCR, BackTranslatedTexts, Table, Texts
from mtl_jax.data.files.duplicates import require_distinct_files, warn_of_repeats


def lengths(texts):
    """Tokens of texts."""
    return np.array([[len(text)] for text in texts], np.int32).reshape(-1, 1)


def write(folder, **parts):
    for name, rows in parts.items():
        text = "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows)
        (folder / f"{name}.csv").write_text(text)
    return str(folder)


ROWS = [(at, at / 2, at % 2) for at in range(12)]


@pytest.mark.parametrize("way", ["copy", "symlink", "hardlink"])
def test_one_file_is_no_two_parts(tmp_path, way):
    path = write(tmp_path, train=ROWS[:8], val=ROWS[8:10])
    source, other = tmp_path / "train.csv", tmp_path / "test.csv"
    if way == "copy":
        other.write_bytes(source.read_bytes())
    else:
        (other.symlink_to if way == "symlink" else other.hardlink_to)(source)
    for read in (Table(path).load, Table(path).shapes, Texts(path, lengths, "a", ("y",)).load):
        with pytest.raises(BadInput, match=r"train\.csv and .*test\.csv must be different parts"):
            read()


def test_other_files_are_parts(tmp_path):
    write(tmp_path, train=ROWS[:8], val=ROWS[8:10], test=ROWS[10:])
    require_distinct_files([tmp_path / f"{name}.csv" for name in ("train", "val", "test")])
    assert len(Table(str(tmp_path)).load().test["y"]) == 2


def test_rows_in_two_parts_are_told_with_their_count(tmp_path):
    test = [ROWS[1], (2.0, "1.00", 1), (99, 1, 0)]  # By hand: two have features of train.
    path = write(tmp_path, train=ROWS[:8], val=ROWS[8:10], test=test)
    with pytest.warns(
        DataWarning, match="^Table: 2 of 3 rows of test have the features of a row of train$"
    ):
        Table(path).load()


def test_a_part_that_another_one_holds_is_none(tmp_path):
    path = write(tmp_path, train=ROWS[:8], val=ROWS[8:10], test=ROWS[2:5])
    text = r"Table\.path must have parts of their own: 3 of 3 rows of test .* a row of train"
    with pytest.raises(BadInput, match=text):
        Table(path).load()
    # Where rows repeat within train few values are possible, and the same ones may come again.
    write(tmp_path, train=[*ROWS[:8], ROWS[0]])
    with pytest.warns(DataWarning, match="3 of 3 rows of test have the features of a row of train"):
        Table(path).load()


def test_drawn_parts_are_told_too(tmp_path):
    path = write(tmp_path, all=[*ROWS, *ROWS]) + "/all.csv"
    with pytest.warns(
        DataWarning, match="rows of test have the features of a row of train"
    ) as found:
        splits = Table(path, validation=0.2, test=0.3).load()
    train, _, test = ({row.tobytes() for row in part["inputs"]} for part in splits)
    count = sum(row.tobytes() in train for row in splits.test["inputs"])
    assert f"{count} of 7 rows of test have the features of a row of train" in str(found[0].message)
    assert count > 0 and len(test) > 0 and len(found) == 1


def test_drawn_parts_are_never_refused(tmp_path):
    rows = [(at, at, 0) for at in range(20)]
    path = write(tmp_path, all=rows) + "/all.csv"
    source = Table(path, standardize=False, validation=0.1, test=0.1)
    train, _, test = (part["inputs"][:, 0].astype(int) for part in source.load())
    for row, other in zip(test, train, strict=False):
        rows[row] = rows[other]
    write(tmp_path, all=rows)
    with pytest.warns(DataWarning, match="2 of 2 rows of test have the features of a row of train"):
        source.load()
    with pytest.warns(DataWarning, match="2 of 2 rows of test have the text of a row of train"):
        Texts(path, lengths, "a", ("y",)).load()


def test_zero_has_one_sign(tmp_path):
    path = write(tmp_path, train=[(0, 0, 0), (1, 2, 1)], val=[(3, 4, 0)], test=[("-0.0", -0, 0)])
    with pytest.warns(DataWarning, match="1 of 1 rows of test have the features of a row of train"):
        Table(path, standardize=False).load()


def test_texts_in_two_parts_are_told(tmp_path):
    for name, texts in (("train", "abc"), ("dev", "de"), ("test", "af")):
        rows = [{"text": text * 3, "label": at % 2} for at, text in enumerate(texts)]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    with pytest.warns(
        DataWarning, match="^Texts: 1 of 2 rows of test have the text of a row of train$"
    ):
        Texts(str(tmp_path), lengths).load()


def test_triples_in_two_parts_are_told(tmp_path):
    for name, texts in (("train", "abc"), ("dev", "de"), ("test", "af")):
        rows = [{"ori": [ord(c)], "aug_0": [1], "aug_1": [2], "label": 0} for c in texts]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    with pytest.warns(
        DataWarning, match="^BackTranslatedTexts: 1 of 2 rows of test have the original of a row of"
    ):
        BackTranslatedTexts(str(tmp_path), 2).load()
    (tmp_path / "dev.json").write_bytes((tmp_path / "test.json").read_bytes())
    with pytest.raises(BadInput, match=r"dev\.json and .*test\.json must be different parts"):
        BackTranslatedTexts(str(tmp_path), 2).load()


def test_series_in_two_parts_are_told(tmp_path):
    head = "@classLabel true a b\n@data\n"
    lines = [f"{at},{at + 2},{at * 3}:{'ab'[at % 2]}\n" for at in range(8)]
    (tmp_path / "S_TRAIN.ts").write_text(head + "".join(lines))
    (tmp_path / "S_TEST.ts").write_text(head + "".join(lines[:3]) + "9,9,9:a\n")
    with pytest.warns(DataWarning, match="rows of test have the series of a row of") as found:
        UCR("S", str(tmp_path), validation=0.25).load()
    counts = [
        int(text.split()[0]) for text in str(found[0].message).removeprefix("UCR: ").split("; ")
    ]
    assert sum(counts) == 3  # by hand
    (tmp_path / "S_TEST.ts").write_text(head + "".join(lines))
    with pytest.raises(BadInput, match=r"S_TRAIN\.ts and .*S_TEST\.ts must be different parts"):
        UCR("S", str(tmp_path)).load()


def test_a_single_row_is_told_and_none_is_not():
    with pytest.warns(DataWarning, match="1 of 1 rows of test"):
        warn_of_repeats(0, "x", {"train": [1, 2], "validation": [3], "test": [1]}, user_split=True)
    with pytest.warns(DataWarning, match="2 of 2 rows of test"):
        warn_of_repeats(
            0, "x", {"train": [1, 2], "validation": [3], "test": [1, 2]}, user_split=False
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_repeats(
            0, "x", {"train": [1, 1], "validation": [3, 3], "test": [2]}, user_split=True
        )
