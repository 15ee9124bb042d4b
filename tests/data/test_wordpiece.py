"""WordPiece: words, pieces and rows by hand, with a vocabulary of a few pieces."""

import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.wordpiece import words

PIECES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "##a",
    "cafe",
    "!",
    "中",
    "Un",
)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return str(file)


def test_words():
    assert words("Don't  stop\tNOW...", True) == ["don", "'", "t", "stop", "now", ".", ".", "."]
    assert words("Café a\u0301\u00a0b\u200bc", True) == ["cafe", "a", "bc"]  # by hand
    assert words("Café", False) == ["Café"]
    assert words("x中文y $5", True) == ["x", "中", "文", "y", "$", "5"]
    assert words(" \ufffd\x00", True) == []


def test_pieces_are_the_longest_from_the_left(path):
    got = data.WordPiece(path, 6)(["unaffable!", "CAFÉ", "unafft cafe", "", "unaa中"])
    wanted = [
        [2, 4, 5, 6, 9, 3],
        [2, 8, 3, 0, 0, 0],
        [2, 1, 8, 3, 0, 0],  # "##t" is no piece, so the whole word is unknown
        [2, 3, 0, 0, 0, 0],
        [2, 4, 7, 7, 10, 3],
    ]  # by hand
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == np.int32


def test_case_counts_where_it_is_kept(path):
    np.testing.assert_array_equal(data.WordPiece(path, 4, lower=False)(["Un un"]), [[2, 11, 4, 3]])
    np.testing.assert_array_equal(data.WordPiece(path, 4)(["Un"]), [[2, 4, 3, 0]])


def test_long_texts_are_cut_before_the_last_mark_and_long_words_are_unknown(path):
    cut = data.WordPiece(path, 4)
    np.testing.assert_array_equal(cut(["un un un un"]), [[2, 4, 4, 3]])
    np.testing.assert_array_equal(cut(["un" + "a" * 98]), [[2, 4, 7, 3]])
    np.testing.assert_array_equal(cut(["un" + "a" * 99]), [[2, 1, 3, 0]])
    assert cut([]).shape == (0, 4)


def test_what_is_no_vocabulary_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"WordPiece.length must be at least 2, not 1"):
        data.WordPiece("vocab.txt", 1)
    with pytest.raises(BadInput, match=r"vocabulary .*none.txt' must be a text file"):
        data.WordPiece(str(tmp_path / "none.txt"))(["a"])
    (tmp_path / "poor.txt").write_text("[PAD]\n[UNK]\na\n")
    with pytest.raises(BadInput, match=r"must have a line for each of \[CLS\], \[SEP\]"):
        data.WordPiece(str(tmp_path / "poor.txt"))(["a"])
