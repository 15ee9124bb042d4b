"""Reading of text files (UTF-8, or UTF-16 and UTF-32 with a byte order mark) and of JSON."""

import codecs
import json
import pathlib
import re
from typing import Any

from mtl_jax.core.validation import BadInput

# UTF-32's mark begins with UTF-16's, so it is checked first.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_text(file: pathlib.Path) -> str:
    """Reads a text file with unchanged line ends; a byte order mark is removed.

    Raises:
      BadInput: in one line, for a file that cannot be read or has another encoding.
    """
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    encoding = next(
        (name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig"
    )
    if encoding == "utf-8-sig" and 0 in content[:4]:
        raise BadInput(f"{file} cannot be read: it is UTF-16 without its mark; save it as UTF-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        fault = f"line {line} is not {name} (byte 0x{content[error.start]:02x}, {error.reason})"
        hint = "it may be Latin-1 or Windows-1252" if name == "UTF-8" else "it is cut or damaged"
        raise BadInput(f"{file} cannot be read: {fault}; {hint}; save it as UTF-8") from error


def lines_of(text: str) -> list[str]:
    r"""Lines of a text, split at \n, \r\n or \r only: other Unicode separators are text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def parse_json(where: str, text: str) -> Any:
    """Parses a JSON text.

    Raises:
      BadInput: with `where`, for invalid JSON, or an object with a duplicate name, of which Python
        would keep the last.
    """
    try:
        return json.loads(text, object_pairs_hook=to_object)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} must be JSON: {error}") from error


def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; its names must be distinct."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in content if names.count(name) > 1)
        raise ValueError(f"{duplicate!r} occurs twice in one object")
    return content


def require_characters(where: str, text: str) -> None:
    """Rejects incomplete characters: JSON may contain half of a surrogate pair.

    Raises:
      BadInput: with `where`.
    """
    surrogate = SURROGATE.search(text)
    if surrogate:
        raise BadInput(f"{where} must hold whole characters, not the half {surrogate[0]!a}")
