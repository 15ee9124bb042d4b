"""Selection and renaming of a file's tensors."""

import collections
import re
from collections.abc import Iterable

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean, few
from mtl_jax.nets.pretrained.name_map import NameRule, Shapes, Tensors

Renames = Iterable[tuple[str, str]]


def select_tensors(tensors: Tensors, skip: Iterable[str], rename: Renames) -> dict[str, np.ndarray]:
    """Removes the tensors that match `skip`, and renames by the first match of `rename`.

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
    """The name after the first full match of a pattern; unchanged if there is none."""
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


def prefix_hint(names: Iterable[str], table: Iterable[NameRule], wanted: int) -> str | None:
    r"""The settings to add if a prefix of the names prevents them from matching a table.

    The prefix of a name is the shortest one, up to a dot or a slash, without which a row matches
    it: `module.`, `_orig_mod.`, `student.backbone.`. Returns None if no prefix is that of at
    least half as many names as are `wanted`.
    """
    known = [re.compile(line.pattern) for line in table]
    names = [name for name in names if not any(line.fullmatch(name) for line in known)]
    found = collections.Counter(filter(None, (prefix_of(name, known) for name in names)))
    often = [(prefix, count) for prefix, count in found.most_common() if 2 * count >= wanted]
    if not often:
        return None
    (prefix, count), *others = often
    said = f"{count} names begin with {prefix!r}: give rename={as_text(prefix, renamed=True)}"
    # The same names below another prefix are copies of the same tensors.
    return said + "".join(f" and skip={as_text(other, renamed=False)}" for other, _ in others[:1])


def prefix_of(name: str, known: Iterable[re.Pattern]) -> str | None:
    """The shortest prefix of a name without which it is known."""
    for hit in re.finditer(r"[./]", name):
        if any(line.fullmatch(name[hit.end() :]) for line in known):
            return name[: hit.end()]
    return None


def as_text(prefix: str, *, renamed: bool) -> str:
    """A setting that removes a prefix, or skips names that have it, as Python code."""
    pattern = re.escape(prefix)
    return rf'((r"{pattern}(.*)", r"\1"),)' if renamed else rf'(r"{pattern}.*",)'


def without_fresh(wanted: Shapes, fresh: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of our variables except those that are newly initialized.

    Raises:
      BadInput: for a pattern that matches none.
    """
    for pattern in fresh:
        require_hit("new_params", pattern, wanted)
    return {
        path: shape
        for path, shape in wanted.items()
        if not any(re.fullmatch(pattern, path) for pattern in fresh)
    }


def require_hit(field: str, pattern: str, names: Iterable[str]) -> None:
    """Requires a pattern to match a name, to detect typos.

    Raises:
      BadInput: if it matches none.
    """
    if not any(re.fullmatch(pattern, name) for name in names):
        raise BadInput(f"{field} {pattern!r} must match a name ({did_you_mean(pattern, names)})")
