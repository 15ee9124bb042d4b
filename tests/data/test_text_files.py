"""Text files: encodings and their marks, ends of lines, and JSON."""

import codecs
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_jax.core.validation import BadInput
from mtl_jax.data import (
    Arrays,
    BackTranslatedTexts,
    Texts,
    WordPiece,
    read_splits,
    read_synonyms,
    write_splits,
)
from mtl_jax.data.datasets.ucr import UCR
from mtl_jax.data.files.text_files import lines_of, parse_json, read_text, require_characters
from mtl_jax.data.files.ts import read_ts

TEXT = "größe, 中文\u2028😀\x85end\n"
MARKED = {
    "utf-8": b"",
    "utf-8-sig": b"",  # Python writes this mark and the next two itself.
    "utf-16": b"",
    "utf-32": b"",
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-16-le": codecs.BOM_UTF16_LE,
}


@pytest.mark.parametrize("encoding", MARKED)
def test_encodings_with_their_mark(tmp_path, encoding):
    file = tmp_path / "a.txt"
    file.write_bytes(MARKED[encoding] + TEXT.encode(encoding))
    assert read_text(file) == TEXT


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a\nb\né".encode("latin-1"), "line 3 is not UTF-8 .byte 0xe9.*it may be Latin-1"),
        ("abc".encode("utf-16-le"), "it is UTF-16 without its mark; save it as UTF-8"),
        ("abc".encode("utf-16-be"), "it is UTF-16 without its mark"),
        ("abc".encode("utf-16")[:-1], "line 1 is not UTF-16 .*cut or damaged"),
    ],
)
def test_other_encodings_are_one_line(tmp_path, content, fault):
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=rf"a\.txt cannot be read: {fault}") as error:
        read_text(file)
    assert "\n" not in str(error.value)


def test_lines_end_where_files_say_so_only():
    # str.splitlines would make ten of these.
    assert lines_of("a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\nj") == [
        "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i",
        "j",
    ]
    assert lines_of("a\r\nb\rc\n\nd") == ["a", "b", "c", "", "d"]  # by hand


@given(st.text())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_lines_are_those_of_pythons_files(text):
    assert "\n".join(lines_of(text)) == io.StringIO(text, newline=None).read()


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(BadInput, match="here must be JSON: 'a' occurs twice in one object"):
        parse_json("here", '[{"a": 1, "b": 2, "a": 3}]')
    assert parse_json("here", '{"a": {"b": 1}, "b": {"a": 1}}') == {"a": {"b": 1}, "b": {"a": 1}}


def test_half_a_character_is_refused():
    require_characters("here", json.loads(r'"\ud83d\ude00"'))
    with pytest.raises(BadInput, match=r"here must hold whole characters, not the half '.ud83d'"):
        require_characters("here", json.loads(r'"good \ud83d"'))


VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\n"
SERIES = "@classLabel true up down\n@data\n1,2,{}:up\n2,3,4:down\n3,2,1:up\n5,3,1:down\n"


def first_of(length):
    """Tokens of any text."""
    return [ord(length[0])]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_every_reader_takes_a_mark(tmp_path, encoding):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding=encoding)
        return str(tmp_path / name)

    vocabulary = WordPiece(write("vocab.txt", VOCABULARY), length=3)
    assert vocabulary(["good"]).tolist() == [[2, 4, 3]]
    assert read_synonyms(write("synonyms.json", '{"1": [2]}')) == ((1, 2),)
    series, labels, _ = read_ts(tmp_path / write("a.ts", SERIES.format(3)))
    assert series.shape == (4, 3, 1) and labels.tolist() == [0, 1, 0, 1]
    train = {"y": np.array([0, 1], np.int32)}
    assert read_splits(write("folds.txt", "1 0\n"), train, "y")[0].tolist() == [0, 1]
    row = {"ori": "a", "aug_0": "b", "aug_1": "c", "label": 1}
    for at, name in enumerate(("train", "dev", "test")):
        write(f"{name}.json", json.dumps([{**row, "ori": "abc"[at]}]))
    assert BackTranslatedTexts(str(tmp_path), 1, first_of).load().test["inputs"].tolist() == [
        [ord("c")]
    ]
    texts = Texts(str(tmp_path), vocabulary, text="ori")
    assert texts.load().train["label"].tolist() == [0]


def test_home_is_a_users_folder_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "vocab.txt").write_text(VOCABULARY)
    assert WordPiece("~/vocab.txt", length=3)(["bad"]).tolist() == [[2, 5, 3]]
    (tmp_path / "s.json").write_text('{"1": [2]}')
    assert read_synonyms("~/s.json") == ((1, 2),)
    (tmp_path / "S_TRAIN.ts").write_text(SERIES.format(3))
    (tmp_path / "S_TEST.ts").write_text(SERIES.format(9))
    assert UCR("S", "~", validation=0.5).shapes()["inputs"].shape == (2, 3, 1)
    rows = "".join(
        json.dumps({"text": f"good {'bad ' * at}", "label": at % 2}) + "\n" for at in range(9)
    )
    (tmp_path / "t.jsonl").write_text(rows)
    assert Texts("~/t.jsonl", WordPiece("~/vocab.txt")).shapes()["label"].shape == (7,)
    part = {"inputs": np.eye(4, dtype=np.float32), "y": np.array([0, 1, 0, 1], np.int32)}
    write_splits(Arrays(part, part, part), "y", 2, (0,), "~/splits.json")
    assert (tmp_path / "splits.json").is_file()
    assert len(read_splits("~/splits.json", part, "y")[0]) == 2
    with pytest.raises(BadInput, match=r"/none/splits\.json cannot be written: .*No such file"):
        write_splits(Arrays(part, part, part), "y", 2, (0,), "~/none/splits.json")
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.json").write_text('[{"ori": [1], "aug_0": [2], "aug_1": [3]}]')
    assert BackTranslatedTexts("~", 1).shapes()["label"].shape == (1,)
