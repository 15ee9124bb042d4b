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
            require_match(field, pattern, tensors)
    names = [name for name in tensors if not any(re.fullmatch(pattern, name) for pattern in skip)]
    new_names = {name: rename_tensor(name, rename) for name in names}
    duplicates = [
        name for name, count in collections.Counter(new_names.values()).items() if count > 1
    ]
    if duplicates:
        raise BadInput(f"rename must give one name to one tensor, not {few(duplicates)} to more")
    return {new_names[name]: tensors[name] for name in names}


def rename_tensor(name: str, rename: Renames) -> str:
    """The name after the first full match of a pattern; unchanged if there is none."""
    for old, new in rename:
        match = re.fullmatch(old, name)
        if match:
            try:
                return match.expand(new)
            except (re.error, IndexError) as error:
                raise BadInput(
                    f"rename {old!r} must have the groups of {new!r} ({error})"
                ) from None
    return name


def prefix_hint(names: Iterable[str], table: Iterable[NameRule], num_expected: int) -> str | None:
    r"""The settings to add if a prefix of the names prevents them from matching a table.

    The prefix of a name is the shortest one, up to a dot or a slash, without which a row matches
    it: `module.`, `_orig_mod.`, `student.backbone.`. Returns None if no prefix is that of at
    least half as many names as `num_expected`.
    """
    patterns = [re.compile(rule.pattern) for rule in table]
    names = [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)]
    prefixes = collections.Counter(filter(None, (prefix_of(name, patterns) for name in names)))
    frequent = [
        (prefix, count) for prefix, count in prefixes.most_common() if 2 * count >= num_expected
    ]
    if not frequent:
        return None
    (prefix, count), *others = frequent
    hint = f"{count} names begin with {prefix!r}: give rename={setting_text(prefix, rename=True)}"
    # The same names below another prefix are copies of the same tensors.
    return hint + "".join(
        f" and skip={setting_text(other, rename=False)}" for other, _ in others[:1]
    )


def prefix_of(name: str, patterns: Iterable[re.Pattern]) -> str | None:
    """The shortest prefix of a name without which it matches a pattern."""
    for match in re.finditer(r"[./]", name):
        if any(pattern.fullmatch(name[match.end() :]) for pattern in patterns):
            return name[: match.end()]
    return None


def setting_text(prefix: str, *, rename: bool) -> str:
    """A setting that removes a prefix, or skips names that have it, as Python code."""
    pattern = re.escape(prefix)
    return rf'((r"{pattern}(.*)", r"\1"),)' if rename else rf'(r"{pattern}.*",)'


def without_new(shapes: Shapes, new_params: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of our variables except those that are newly initialized.

    Raises:
      BadInput: for a pattern that matches none.
    """
    for pattern in new_params:
        require_match("new_params", pattern, shapes)
    return {
        path: shape
        for path, shape in shapes.items()
        if not any(re.fullmatch(pattern, path) for pattern in new_params)
    }


def require_match(field: str, pattern: str, names: Iterable[str]) -> None:
    """Requires a pattern to match a name, to detect typos.

    Raises:
      BadInput: if it matches none.
    """
    if not any(re.fullmatch(pattern, name) for name in names):
        raise BadInput(f"{field} {pattern!r} must match a name ({did_you_mean(pattern, names)})")
