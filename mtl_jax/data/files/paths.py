"""Paths as users write them."""

import os
import pathlib


def path_of(text: str | pathlib.Path) -> pathlib.Path:
    """A path, `~` as the user's folder; `~name` of nobody stays, and is then no file."""
    return pathlib.Path(os.path.expanduser(text))
