"""Texts as tokens of BERT and its kin: WordPiece."""

import dataclasses
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

from mtl_jax.core.validation import BadInput, require, require_count
from mtl_jax.data.files.paths import path_of
from mtl_jax.data.files.text_files import lines_of, read_text

PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
LONGEST = 100  # Letters of a word, above which it is unknown.
UNSEEN = ("Cc", "Cf", "Co")  # Unicode's categories of control, format and private use.
# Chinese, Japanese and Korean ideographs: each is a word.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class WordPiece:
    """Turns texts into rows of tokens, `[CLS] ... [SEP]` and padding, by a file of pieces.

    A text is cut at white space, punctuation and around ideographs; each word into the longest
    pieces that the file has, from the left, those within a word written with "##". A word that
    cannot be cut so is `[UNK]`. Marks such as "[MASK]" within a text are text.

    Attributes:
      path: of `vocab.txt`: a piece a line, the first one is token 0.
      length: T; what is longer is cut off before `[SEP]`.
      lower: whether letters become small and lose their accents, for "uncased" weights.

    Raises:
      BadInput: for a path that is no text, a length below 2, or a setting that is no yes or no.

    Reference: Devlin et al., BERT, NAACL 2019, Section 3 (https://arxiv.org/abs/1810.04805),
      and its code (github.com/google-research/bert, tokenization.py).
    """

    path: str
    length: int = 128
    lower: bool = True

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_count(self, length=2)
        require(isinstance(self.lower, bool), self, "lower", "must be True or False", self.lower)

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """Maps N texts to tokens `[N, T]` of int32.

        Raises:
          BadInput: for a file that cannot be read, or that lacks one of the four marks.
        """
        vocabulary = read_vocabulary(self.path)
        rows = [
            [vocabulary[piece] for piece in pieces(text, vocabulary, self.lower)] for text in texts
        ]
        found = np.full((len(rows), self.length), vocabulary[PAD], np.int32)
        for row, tokens in zip(found, rows, strict=True):
            kept = [vocabulary[FIRST], *tokens[: self.length - 2], vocabulary[LAST]]
            row[: len(kept)] = kept
        return found


def read_vocabulary(path: str) -> dict[str, int]:
    """Reads the token of each piece.

    Raises:
      BadInput: for a file that cannot be read, or that lacks one of the four marks.
    """
    try:
        lines = lines_of(read_text(path_of(path)))
    except BadInput as error:
        raise BadInput(f"vocabulary {path!r} must be a text file: {error}") from error
    found = {piece: token for token, piece in enumerate(lines)}
    lacking = [mark for mark in (PAD, UNKNOWN, FIRST, LAST) if mark not in found]
    if lacking:
        raise BadInput(f"vocabulary {path!r} must have a line for each of {', '.join(lacking)}")
    return found


def pieces(text: str, vocabulary: dict[str, int], lower: bool) -> list[str]:
    """The pieces of a text."""
    return [piece for word in words(text, lower) for piece in cut(word, vocabulary)]


def words(text: str, lower: bool) -> list[str]:
    """The words of a text; each mark of punctuation and each ideograph is one."""
    text = "".join(map(cleaned, text))
    if lower:
        text = unicodedata.normalize("NFD", text)
        text = "".join(c for c in text if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if punctuates(c) else c for c in text).split()


def cleaned(letter: str) -> str:
    """A letter without what cannot be seen, and with spaces around ideographs."""
    if letter in " \t\n\r" or unicodedata.category(letter) == "Zs":
        return " "
    if letter == "\ufffd" or unicodedata.category(letter) in UNSEEN:
        return ""
    return f" {letter} " if any(a <= ord(letter) <= b for a, b in IDEOGRAPHS) else letter


def punctuates(letter: str) -> bool:
    """Whether a letter is punctuation; of ASCII, all but letters, digits and what is unseen."""
    code = ord(letter)
    return (32 < code < 127 and not letter.isalnum()) or unicodedata.category(letter)[0] == "P"


def cut(word: str, vocabulary: dict[str, int]) -> list[str]:
    """The pieces of a word, each the longest that there is, or the unknown one."""
    found = list(longest(word, vocabulary)) if len(word) <= LONGEST else [""]
    return [UNKNOWN] if "" in found else found


def longest(word: str, vocabulary: dict[str, int]) -> Iterator[str]:
    """Pieces from the left; an empty one where there is none, which ends it."""
    start = 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if mark + word[start:end] in vocabulary), start)
        yield mark + word[start:end] if end > start else ""
        start = end if end > start else len(word)
