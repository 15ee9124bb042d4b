"""Texts of figures, fitted to a width: broken into lines, or shortened in the middle."""

import functools

POINTS = 72  # Per inch.


@functools.lru_cache(maxsize=10_000)
def text_width(text: str, size: float) -> float:
    """Width of a line of text in inches, in the default font at a size in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return width / POINTS


def break_lines(text: str, width: float, size: float) -> str:
    """Breaks a text into lines of at most a width in inches, between words where possible.

    Args:
      text: the text.
      width: in inches; a line has at least one letter.
      size: of the font, in points.
    """
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size) <= width:
            line = longer
            continue
        lines += [line] if line else []
        *whole, line = pieces(word, width, size)
        lines += whole
    return "\n".join([*lines, line])


def pieces(word: str, width: float, size: float) -> list[str]:
    """A word, in parts if it is wider than a width in inches."""
    parts = [""]
    for letter in word:
        if parts[-1] and text_width(parts[-1] + letter, size) > width:
            parts.append("")
        parts[-1] += letter
    return parts


def shorten(text: str, width: float, size: float) -> str:
    """Replaces the middle of a text by an ellipsis, if it is wider than a width in inches."""
    kept = len(text)
    shown = text
    while text_width(shown, size) > width and kept > 2:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


def short_number(value: float, _: int | None = None) -> str:
    """A number as a tick label, such as 0.25, 1e-05 or 20k; to be a formatter of Matplotlib."""
    unit, size = ("M", 1e6) if abs(value) >= 1e6 else ("k", 1e3) if abs(value) >= 1e4 else ("", 1.0)
    return f"{value / size:.4g}{unit}".replace("-", "\N{MINUS SIGN}")
