"""WordPiece tokenization, as used by BERT and its variants."""

import dataclasses
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import lines_of, read_text

PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
MAX_LENGTH = 100  # Maximum number of characters of a word; longer ones are unknown.
INVISIBLE = ("Cc", "Cf", "Co")  # Unicode categories: control, format, private use.
# Chinese, Japanese and Korean ideographs: each is a separate word.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class WordPiece:
    """Tokenizes texts into rows `[CLS] ... [SEP]` with padding, given a vocabulary file.

    A text is split at whitespace, at punctuation and around ideographs, and each word greedily from
    the left into the longest pieces in the vocabulary, those inside a word written with "##". A
    word that cannot be split this way is `[UNK]`. Special tokens such as "[MASK]" within a text are
    treated as text.

    Attributes:
      path: path of `vocab.txt`: one piece per line, the first one is token 0.
      length: T; longer texts are truncated before `[SEP]`.
      lower: whether to lower-case and strip accents, for "uncased" weights.

    Raises:
      BadInput: for a path that is not a string, a length below 2, or a setting that is not a bool.

    Reference: Devlin et al., BERT, NAACL 2019, Section 3 (https://arxiv.org/abs/1810.04805),
      and its code (github.com/google-research/bert, tokenization.py).

    Example:
      >>> from mtl_jax import data
      >>> data.WordPiece("vocab.txt", length=64)
      WordPiece(path='vocab.txt', length=64, lower=True)
    """

    path: str
    length: int = 128
    lower: bool = True

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_int(self, length=2)
        require(isinstance(self.lower, bool), self, "lower", "must be True or False", self.lower)

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """Maps N texts to tokens `[N, T]` of int32.

        Raises:
          BadInput: for a file that cannot be read, or that lacks one of the four special tokens.
        """
        vocabulary = read_vocabulary(self.path)
        rows = [
            [vocabulary[piece] for piece in pieces(text, vocabulary, self.lower)] for text in texts
        ]
        padded = np.full((len(rows), self.length), vocabulary[PAD], np.int32)
        for row, tokens in zip(padded, rows, strict=True):
            tokens = [vocabulary[FIRST], *tokens[: self.length - 2], vocabulary[LAST]]
            row[: len(tokens)] = tokens
        return padded


def read_vocabulary(path: str) -> dict[str, int]:
    """Reads the token of each piece.

    Raises:
      BadInput: for a file that cannot be read, or that lacks one of the four special tokens.
    """
    try:
        lines = lines_of(read_text(expand_path(path)))
    except BadInput as error:
        raise BadInput(f"vocabulary {path!r} must be a text file: {error}") from error
    vocabulary = {piece: token for token, piece in enumerate(lines)}
    missing = [piece for piece in (PAD, UNKNOWN, FIRST, LAST) if piece not in vocabulary]
    if missing:
        raise BadInput(f"vocabulary {path!r} must have a line for each of {', '.join(missing)}")
    return vocabulary


def pieces(text: str, vocabulary: dict[str, int], lower: bool) -> list[str]:
    """The pieces of a text."""
    return [piece for word in words(text, lower) for piece in split_word(word, vocabulary)]


def words(text: str, lower: bool) -> list[str]:
    """The words of a text; punctuation characters and ideographs are separate words."""
    text = "".join(map(clean_character, text))
    if lower:
        text = unicodedata.normalize("NFD", text)
        text = "".join(c for c in text if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if is_punctuation(c) else c for c in text).split()


def clean_character(letter: str) -> str:
    """Removes an invisible character, and adds spaces around ideographs."""
    if letter in " \t\n\r" or unicodedata.category(letter) == "Zs":
        return " "
    if letter == "\ufffd" or unicodedata.category(letter) in INVISIBLE:
        return ""
    return f" {letter} " if any(a <= ord(letter) <= b for a, b in IDEOGRAPHS) else letter


def is_punctuation(letter: str) -> bool:
    """Whether a character is punctuation; in ASCII, all visible ones but letters and digits."""
    code = ord(letter)
    return (32 < code < 127 and not letter.isalnum()) or unicodedata.category(letter)[0] == "P"


def split_word(word: str, vocabulary: dict[str, int]) -> list[str]:
    """The pieces of a word by greedy longest match, or the unknown token."""
    split = list(longest_matches(word, vocabulary)) if len(word) <= MAX_LENGTH else [""]
    return [UNKNOWN] if "" in split else split


def longest_matches(word: str, vocabulary: dict[str, int]) -> Iterator[str]:
    """Yields pieces from the left; an empty one if there is no match, which ends the iteration."""
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), start)
        yield prefix + word[start:end] if end > start else ""
        start = end if end > start else len(word)
