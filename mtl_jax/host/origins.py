"""What says so if the rows of a table were not all made by one state of the code."""

import collections
from collections.abc import Iterable
from typing import Any

from mtl_jax.host.folder import Folder


def note(folders: Iterable[Folder]) -> str:
    """A sentence on the commits and versions of JAX that finished rows come from; "" if one."""
    abouts = [folder.read("run.json") for folder in folders if folder.finished()]
    counted = collections.Counter(origin(about) for about in abouts)
    if len(counted) < 2:
        return ""
    parts = [f"{name} ({count})" for name, count in counted.most_common()]
    return f" Rows come from several states of the code: {'; '.join(parts)}."


def origin(about: dict[str, Any]) -> str:
    """The code and the JAX of one row, in words; "+" is a commit with changes."""
    versions, commit = about["versions"], about["git"]
    code = f"version {versions['mtl_jax']}"
    if commit is not None:
        code = commit[:8] + "+" * commit.endswith("+")
    return f"{code} with JAX {versions['jax']}"
