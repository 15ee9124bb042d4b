"""Which tensors of a file count, and under which names."""

import collections
import re
from collections.abc import Iterable

import numpy as np

from mtl_jax.core.validation import BadInput, few, near
from mtl_jax.nets.pretrained.name_map import Line, Shapes, Tensors

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
        raise BadInput(f"rename must give one name to one tensor, not {few(twice)} to more")
    return {new[name]: tensors[name] for name in kept}


def renamed(name: str, rename: Renames) -> str:
    """A name after the first pattern that matches it whole; as it was without one."""
    for old, new in rename:
        hit = re.fullmatch(old, name)
        if hit:
            try:
                return hit.expand(new)
            except (re.error, IndexError) as wrong:
                raise BadInput(
                    f"rename {old!r} must have the groups of {new!r} ({wrong})"
                ) from None
    return name


def prefix_hint(names: Iterable[str], table: Iterable[Line], wanted: int) -> str | None:
    r"""What to paste where a prefix of the names keeps a table from knowing them.

    The prefix of a name is the shortest one, up to a dot or a slash, without which a line knows
    it: `module.`, `_orig_mod.`, `student.backbone.`. None has been found if it is that of less
    than half as many names as are `wanted`.
    """
    known = [re.compile(line.pattern) for line in table]
    names = [name for name in names if not any(line.fullmatch(name) for line in known)]
    found = collections.Counter(filter(None, (prefix_of(name, known) for name in names)))
    often = [(prefix, count) for prefix, count in found.most_common() if 2 * count >= wanted]
    if not often:
        return None
    (prefix, count), *others = often
    said = f"{count} names begin with {prefix!r}: give rename={as_text(prefix, renamed=True)}"
    # The same names below another prefix are the same tensors once more.
    return said + "".join(f" and skip={as_text(other, renamed=False)}" for other, _ in others[:1])


def prefix_of(name: str, known: Iterable[re.Pattern]) -> str | None:
    """The shortest prefix of a name without which it is known."""
    for hit in re.finditer(r"[./]", name):
        if any(line.fullmatch(name[hit.end() :]) for line in known):
            return name[: hit.end()]
    return None


def as_text(prefix: str, *, renamed: bool) -> str:
    """A setting that takes a prefix off, or leaves out what has it, as Python writes it."""
    pattern = re.escape(prefix)
    return rf'((r"{pattern}(.*)", r"\1"),)' if renamed else rf'(r"{pattern}.*",)'


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
