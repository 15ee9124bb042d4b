"""Texts: tokens and labels by hand, parts that are given or drawn, and what is refused."""

import json

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Texts, WordPiece
from mtl_jax.data.files import texts
from tests.data.shapes import check_shapes

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly", ",")


@pytest.fixture
def tokens(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(PIECES))
    return WordPiece(str(file), length=5)


@pytest.fixture
def folder(tmp_path):
    """A folder whose three parts are of three formats."""
    rows = [
        {"text": "Good", "label": "pos", "stars": 4.5},
        {"label": None, "text": "bad, badly bad"},
        {"text": "so good", "label": "neg", "stars": None, "id": 7},
    ]
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "train.jsonl").write_text(lines)
    (tmp_path / "dev.csv").write_text('label,text,stars\npos,"good, good",?\n')
    (tmp_path / "test.tsv").write_text("stars\tlabel\ttext\n-1\tmixed\tnot bad\n")
    return str(tmp_path)


def counted(texts):
    """Tokens of a function of one's own: the lengths of texts."""
    return np.array([[len(text)] for text in texts], np.int32).reshape(-1, 1)


def lists(texts):
    return [[1] for _ in texts]


def floats(texts):
    return np.zeros((len(texts), 2))


def one_row(texts):
    return np.zeros((1, 2), np.int32)


def test_tokens_and_labels_by_hand(folder, tokens):
    source = Texts(folder, tokens, numbers=("stars",))
    check_shapes(source)
    train, validation, test = source.load()
    wanted = [[2, 4, 3, 0, 0], [2, 5, 7, 5, 3], [2, 1, 4, 3, 0]]  # by hand
    np.testing.assert_array_equal(train["inputs"], wanted)
    np.testing.assert_array_equal(validation["inputs"], [[2, 4, 7, 4, 3]])
    np.testing.assert_array_equal(test["inputs"], [[2, 1, 5, 3, 0]])
    assert [part["label"].tolist() for part in (train, validation, test)] == [[2, -1, 1], [2], [0]]
    np.testing.assert_array_equal(train["stars"], np.array([4.5, np.nan, np.nan], np.float32))
    assert source.classes() == {"label": ("mixed", "neg", "pos")}
    kinds = {name: array.dtype for name, array in test.items()}
    assert kinds == {"inputs": np.int32, "label": np.int32, "stars": np.float32}


def test_parts_are_stratified_disjoint_and_seeded(tmp_path):
    file = tmp_path / "many.jsonl"
    rows = [{"ori": "a" * (i + 1), "odd": i % 2 == 1} for i in range(40)]
    file.write_text("\n".join(map(json.dumps, rows)))
    settings = {"text": "ori", "labels": ("odd",), "validation": 0.2, "test": 0.1}
    source = Texts(str(file), counted, **settings)
    check_shapes(source)
    one, same = source.load(), source.load()
    assert [np.bincount(part["odd"]).tolist() for part in one] == [[14, 14], [4, 4], [2, 2]]
    assert sorted(np.concatenate([part["inputs"][:, 0] for part in one])) == list(range(1, 41))
    for part in one:
        np.testing.assert_array_equal((part["inputs"][:, 0] - 1) % 2, part["odd"])
    np.testing.assert_array_equal(one.test["inputs"], same.test["inputs"])
    other = Texts(str(file), counted, **settings, seed=1).load()
    assert not np.array_equal(one.test["inputs"], other.test["inputs"])


def only_none(texts):
    """Tokens of no texts."""
    assert len(texts) == 0
    return np.zeros((0, 5), np.int32)


def test_shapes_are_told_without_tokens_and_read_once(folder, monkeypatch):
    source = Texts(folder, only_none)
    told = source.shapes()
    assert told["inputs"].shape == (3, 5)
    monkeypatch.setattr(texts, "read_columns", None)
    assert source.shapes() == told


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"text": "txt"}, r"Texts\.text must name columns of .*train\.jsonl \(did you mean text"),
        ({"labels": ("lable",)}, r"Texts\.labels must name columns .*mean label\?\), not 'lable'"),
        ({"labels": ("id",)}, r"Texts\.labels must name columns of .*dev\.csv"),
        (
            {"labels": ("stars",)},
            r"train\.jsonl, line 1: column 'stars' must hold names or integers",
        ),
        ({"numbers": ("id",)}, r"Texts\.numbers must name columns of .*dev\.csv"),
        ({"text": "stars"}, r"train\.jsonl, line 2: column 'stars' must have a text, not ''"),
        ({"tokens": lists}, r"Texts\.tokens must make int32 \[\d, T\] of \d texts, not \["),
        ({"tokens": floats}, r"Texts\.tokens must make int32 .*, not float64 \[\d, 2\]"),
        ({"tokens": one_row}, r"Texts\.tokens must make int32 .*, not int32 \[1, 2\]"),
    ],
)
def test_what_does_not_fit_is_named(folder, tokens, changes, text):
    source = Texts(**{"path": folder, "tokens": tokens, **changes})
    for read in (source.load, source.shapes):
        with pytest.raises(BadInput, match=text):
            read()


def test_files_as_usb_has_them(tmp_path, tokens):
    for at, name in enumerate(("train", "dev", "test")):
        row = {"ori": "good" + at * " bad", "aug_0": ["bad"], "aug_1": "None", "label": str(at)}
        (tmp_path / f"{name}.json").write_text(json.dumps({"0": row}))
    source = Texts(str(tmp_path), tokens, text="ori")
    check_shapes(source)
    assert [part["label"].tolist() for part in source.load()] == [[0], [1], [2]]
    np.testing.assert_array_equal(source.load().test["inputs"], [[2, 4, 5, 5, 3]])


def test_bad_files_are_named(tmp_path, tokens):
    with pytest.raises(BadInput, match=r"Texts\.path must be a file or a folder, not '.*nowhere'"):
        Texts(str(tmp_path / "nowhere"), tokens).shapes()
    with pytest.raises(
        BadInput, match=r"Texts\.path must end in \.csv or \.tsv or \.jsonl or \.json"
    ):
        Texts(str(tmp_path / "vocab.txt"), tokens).load()
    (tmp_path / "a.csv").write_text('text,label\n"Good" he said,1\n')
    with pytest.raises(BadInput, match=r"a\.csv, line 2, cannot be read: "):
        Texts(str(tmp_path / "a.csv"), tokens).load()


def test_a_vocabulary_that_is_not_there_is_named_before_training(folder):
    with pytest.raises(BadInput, match=r"vocabulary .*none\.txt' must be a text file"):
        Texts(folder, WordPiece("none.txt")).shapes()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"labels": ()}, r"Texts\.labels and numbers must name a label"),
        ({"labels": ("text",)}, r"Texts\.labels must not name a column again, not 'text'"),
        ({"numbers": ("inputs",)}, r"Texts\.labels must not have such a name, not 'inputs'"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Texts(**{"path": "x.csv", "tokens": WordPiece("v.txt"), **settings})
