"""Which tensors of a file count, and under which names."""

import collections
import re
from collections.abc import Iterable

import numpy as np

from mtl_jax.checks import BadInput, near
from mtl_jax.nets.pretrained.names import Shapes, Tensors

Renames = Iterable[tuple[str, str]]


def chosen(tensors: Tensors, skip: Iterable[str], rename: Renames) -> dict[str, np.ndarray]:
    """Leaves out the tensors that `skip` matches, and renames by the first of `rename` that does.

    Raises:
      BadInput: for a pattern that matches no tensor of the file, or two tensors of one name.
    """
    for field, patterns in (("skip", skip), ("rename", [old for old, _ in rename])):
        for pattern in patterns:
            require_hit(field, pattern, tensors)
    kept = [name for name in tensors if not any(re.fullmatch(one, name) for one in skip)]
    new = {name: renamed(name, rename) for name in kept}
    twice = [name for name, count in collections.Counter(new.values()).items() if count > 1]
    if twice:
        raise BadInput(f"rename must give one name to one tensor, not {', '.join(twice)} to more")
    return {new[name]: tensors[name] for name in kept}


def renamed(name: str, rename: Renames) -> str:
    """A name after the first pattern that matches it whole; as it was without one."""
    for old, new in rename:
        hit = re.fullmatch(old, name)
        if hit:
            return hit.expand(new)
    return name


def without_fresh(wanted: Shapes, fresh: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of our variables but for those that are drawn afresh.

    Raises:
      BadInput: for a pattern that matches none.
    """
    for pattern in fresh:
        require_hit("fresh", pattern, wanted)
    return {
        path: shape
        for path, shape in wanted.items()
        if not any(re.fullmatch(pattern, path) for pattern in fresh)
    }


def require_hit(field: str, pattern: str, names: Iterable[str]) -> None:
    """Requires a pattern that matches a name, lest a slip of the pen go unnoticed.

    Raises:
      BadInput: if it matches none.
    """
    if not any(re.fullmatch(pattern, name) for name in names):
        raise BadInput(f"{field} {pattern!r} must match a name ({near(pattern, names)})")
