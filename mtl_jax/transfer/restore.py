"""Graft: put a trained trunk, and heads if asked, into another net."""

import re

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import paths
from mtl_jax.core.validation import BadInput, near

Take = tuple[tuple[str, str], ...]

# Every head keeps its name; for `take`.
HEADS: Take = ((r"(tasks/heads/.*)", r"\1"),)


def graft(params: Tree, loaded: Tree, take: Take = (), fresh: tuple[str, ...] = ()) -> Tree:
    r"""Replaces the shared parameters by those of a source, all of them or none.

    Args:
      params: `{"shared": ..., "tasks": ...}`; its paths and shapes decide.
      loaded: the source's, of the same kind.
      take: pairs of a regular expression that matches a whole path of the source, and the path
        here (`re` expansion: `\1` is a group). Every pair that matches makes a copy. A path in
        the trunk that none matches keeps its name; one of the tasks is left behind.
      fresh: patterns of paths that stay as they are, whether the source has them or not.

    Returns:
      The parameters, in the dtypes of `params`; what is not taken over stays.

    Raises:
      BadInput: if there is no shared trunk; if a pair or a pattern matches nothing; or if any
        leaf is missing, too many or of another shape, with all such leaves named.
    """
    if not jax.tree.leaves(params["shared"]):
        raise BadInput("graft needs a shared trunk, nets.PerTask has none")
    given = renamed(by_path(loaded), take)
    return fitted(params, given, fresh)


def graft_stats(stats: Tree, loaded: Tree, take: Take = (), fresh: tuple[str, ...] = ()) -> Tree:
    """Replaces running statistics by those of a source, as `graft` does parameters.

    Their paths begin with `shared/` for `take` and `fresh`.

    Raises:
      BadInput: if any leaf is missing, too many or of another shape.
    """
    given = renamed(by_path({"shared": loaded}), take, strict=False)
    fresh = tuple(pattern for pattern in fresh if hits(pattern, paths({"shared": stats})))
    return fitted({"shared": stats}, given, fresh)["shared"]


def by_path(tree: Tree) -> dict[str, jax.Array]:
    """Leaves by their paths."""
    return dict(zip(paths(tree), jax.tree.leaves(tree), strict=True))


def renamed(source: dict[str, jax.Array], take: Take, strict: bool = True) -> dict[str, jax.Array]:
    """What a source gives, by the paths here."""
    given = {}
    for pattern, _ in take if strict else ():
        if not hits(pattern, source):
            raise BadInput(
                f"take: {pattern!r} matches nothing of the source: {near(pattern, source)}"
            )
    for path, leaf in source.items():
        found = [(re.fullmatch(pattern, path), there) for pattern, there in take]
        places = [match.expand(there) for match, there in found if match]
        if not places and path.startswith("shared/"):
            places = [path]
        twice = [place for place in places if place in given]
        if twice:
            raise BadInput(f"take: {twice[0]!r} is given twice, the second time by {path!r}")
        given |= dict.fromkeys(places, leaf)
    return given


def hits(pattern: str, names) -> list[str]:
    """The names that a pattern matches.

    Raises:
      BadInput: if it is no regular expression.
    """
    try:
        return [name for name in names if re.fullmatch(pattern, name)]
    except re.error as wrong:
        raise BadInput(f"pattern {pattern!r} is no regular expression: {wrong}") from None


def fitted(tree: Tree, given: dict[str, jax.Array], fresh: tuple[str, ...]) -> Tree:
    """A tree with the leaves that are given; its trunk must be given whole, but for `fresh`."""
    names = paths(tree)
    new = {name for pattern in fresh for name in hits(pattern, names)}
    for pattern in fresh:
        if not hits(pattern, names):
            raise BadInput(f"fresh: {pattern!r} matches no parameter: {near(pattern, names)}")
    ours = dict(zip(names, jax.tree.leaves(tree), strict=True))
    given = {name: leaf for name, leaf in given.items() if name not in new}
    shape = {name: jnp.shape(leaf) for name, leaf in ours.items()}
    trunk = [name for name in names if name.startswith("shared/") and name not in new]
    wrong = [
        *(f"missing {name} {shape[name]}" for name in trunk if name not in given),
        *(f"extra {name} {jnp.shape(leaf)}" for name, leaf in given.items() if name not in ours),
        *(
            f"misshapen {name} {jnp.shape(given[name])}, needs {shape[name]}"
            for name in names
            if name in given and jnp.shape(given[name]) != shape[name]
        ),
    ]
    if wrong:
        raise BadInput(f"the loaded net does not fit: {'; '.join(wrong)}")
    leaves = [
        jnp.asarray(given[name], leaf.dtype) if name in given else leaf
        for name, leaf in ours.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)
