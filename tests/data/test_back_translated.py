"""BackTranslatedTexts: what comes out of the files, and which rows are refused."""

import json

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import BackTranslatedTexts
from tests.data.shapes import check_shapes

ROW = {"ori": [5, 6, 7, 8], "aug_0": [5, 9], "aug_1": [8, 7, 6], "label": "2"}


def letters(text):
    return [ord(letter) - ord("a") + 1 for letter in text]


def folder(path, train=None, dev=None, test=None):
    for name, rows in (
        ("train", train or [ROW]),
        ("dev", dev or [{"ori": [4]}]),
        ("test", test or [{"ori": [3]}]),
    ):
        (path / f"{name}.json").write_text(json.dumps(rows))
    return str(path)


def test_versions_are_cut_and_filled_up(tmp_path):
    source = BackTranslatedTexts(
        folder(tmp_path, {"0": ROW, "1": {**ROW, "label": 0}}), 3, padding=1
    )
    splits = source.load()
    wanted = [[5, 6, 7], [5, 9, 1], [8, 7, 6]]  # by hand
    np.testing.assert_array_equal(splits.train["inputs"], [wanted, wanted])
    np.testing.assert_array_equal(splits.train["label"], [2, 0])
    check_shapes(source)


def test_other_parts_need_the_original_only_and_may_lack_labels(tmp_path):
    test = [{"ori": [4, 3], "label": 1}, {"ori": [2], "aug_0": "None", "aug_1": "None"}]
    splits = BackTranslatedTexts(folder(tmp_path, test=test), 2).load()
    np.testing.assert_array_equal(splits.test["inputs"], [[4, 3], [2, 0]])
    np.testing.assert_array_equal(splits.test["label"], [1, -1])
    assert splits.test["inputs"].dtype == splits.test["label"].dtype == np.int32
    np.testing.assert_array_equal(splits.validation["inputs"], [[4, 0]])


def test_a_tokenizer_reads_texts(tmp_path):
    row = {"ori": "abc", "aug_0": "ba", "aug_1": [7], "label": 0}
    image = BackTranslatedTexts(folder(tmp_path, [row]), 4, letters).load().train["inputs"]
    np.testing.assert_array_equal(image, [[[1, 2, 3, 0], [2, 1, 0, 0], [7, 0, 0, 0]]])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({**ROW, "aug_1": None}, "row 1 must have 'aug_1'; it has 'ori', 'aug_0'"),
        ({"ori": [1], "label": 0}, "row 1 must have 'aug_0'"),
        ({**ROW, "ori": "a text"}, "row 1 has text in 'ori': give BackTranslatedTexts a tokenizer"),
        ({**ROW, "ori": []}, "row 1 must have tokens in 'ori'"),
        ({**ROW, "ori": [1, -2]}, r"row 1 must have tokens in 'ori'.* not '\[1, -2\]'"),
        ({**ROW, "ori": [1.5]}, "row 1 must have tokens in 'ori'"),
        ({**ROW, "label": "cat"}, "row 1 must have an integer as label, .*, not 'cat'"),
        ({**ROW, "label": None}, "row 1 must have an integer as label, .*, not None"),
        ({**ROW, "label": -2}, "row 1 must have an integer as label, .*, not -2"),
        ({**ROW, "label": 2**31}, "row 1 must have an integer as label, .*, not 2147483648"),
        ([1, 2], "row 1 must be a dict"),
    ],
    ids=str,
)
def test_bad_rows_are_named(row, text, tmp_path):
    with pytest.raises(BadInput, match=rf"train\.json, {text}"):
        BackTranslatedTexts(folder(tmp_path, [ROW, row]), 4).load()


def test_bad_files_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"BackTranslatedTexts\.path must have the file train\.json"):
        BackTranslatedTexts(str(tmp_path), 4).shapes()
    path = folder(tmp_path)
    for content, text in (("{", "must be JSON"), ("[]", "and have some"), ("3", "list")):
        (tmp_path / "test.json").write_text(content)
        with pytest.raises(BadInput, match=rf"test\.json .*{text}"):
            BackTranslatedTexts(path, 4).load()
