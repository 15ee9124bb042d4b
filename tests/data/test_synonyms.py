"""Tables of synonyms: what is read, what is left out, and what is refused."""

import json

import pytest

from mtl_jax.augment.tokens import Synonyms
from mtl_jax.core.validation import BadInput
from mtl_jax.data import read_synonyms

VOCABULARY = {"big": 7, "large": 3, "huge": 5}


def written(path, content):
    file = path / "synonyms.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_words_without_a_token_are_left_out(tmp_path):
    table = {"big": ["large", "enormous", "big", "huge", "large"], "enormous": ["big"]}
    table |= {"large": ["large", "tremendous"], "huge": ["big"]}
    found = read_synonyms(written(tmp_path, table), VOCABULARY.get)
    assert found == ((5, 7), (7, 3, 5))  # by hand
    assert Synonyms(found).table == found


def test_tokens_as_they_are(tmp_path):
    assert read_synonyms(written(tmp_path, {"12": [3, "4"], "2": [9]})) == ((2, 9), (12, 3, 4))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "must be JSON"),
        ([[1, 2]], "must be a dict from a word to a list"),
        ({"1": 2}, "must be a dict from a word to a list"),
        ({"big": ["large"]}, "has the word 'big': give read_synonyms its token"),
    ],
)
def test_bad_files_are_named(content, text, tmp_path):
    with pytest.raises(BadInput, match=rf"synonyms\.json {text}"):
        read_synonyms(written(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match=r"none\.json cannot be read"):
        read_synonyms(str(tmp_path / "none.json"))
