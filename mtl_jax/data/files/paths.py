"""Expansion of user paths."""

import os
import pathlib


def expand_path(text: str | pathlib.Path) -> pathlib.Path:
    """A path with `~` expanded to the home folder; `~name` of an unknown user is unchanged."""
    return pathlib.Path(os.path.expanduser(text))
