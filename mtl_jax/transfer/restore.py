"""Restoring the parameters of a trained trunk, and optionally of its heads, into another model."""

import re

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, leaf_paths
from mtl_jax.core.validation import BadInput, did_you_mean

ParamMap = tuple[tuple[str, str], ...]

# A `param_map` by which every head keeps its name.
HEADS: ParamMap = ((r"(tasks/heads/.*)", r"\1"),)


def restore_params(
    params: Tree, loaded: Tree, param_map: ParamMap = (), new_params: tuple[str, ...] = ()
) -> Tree:
    r"""Replaces the shared parameters by those of a source, all of them or none.

    Args:
      params: `{"shared": ..., "tasks": ...}`; its paths and shapes are the reference.
      loaded: parameters of the source, of the same form.
      param_map: pairs of a regular expression that matches a whole path of the source, and the path
        in `params` (`re` expansion: `\1` is a group). Every matching pair makes a copy. An
        unmatched path of the trunk keeps its name; an unmatched path of the tasks is dropped.
      new_params: patterns of paths that keep their values in `params`, whether or not the source
        has them.

    Returns:
      The parameters, in the dtypes of `params`; leaves that are not restored are unchanged.

    Raises:
      BadInput: if there is no shared trunk; if a pair or a pattern matches nothing; or if any leaf
        is missing, unexpected or of a different shape, with all such leaves listed.
    """
    if not jax.tree.leaves(params["shared"]):
        raise BadInput("restore_params needs a shared trunk, nets.PerTaskTrunk has none")
    given = renamed(by_path(loaded), param_map)
    return merge_checked(params, given, new_params)


def restore_batch_stats(
    stats: Tree, loaded: Tree, param_map: ParamMap = (), new_params: tuple[str, ...] = ()
) -> Tree:
    """Replaces running statistics by those of a source, like `restore_params` for parameters.

    For `param_map` and `new_params`, their paths begin with `shared/`.

    Raises:
      BadInput: if any leaf is missing, unexpected or of a different shape.
    """
    given = renamed(by_path({"shared": loaded}), param_map, strict=False)
    new_params = tuple(
        pattern for pattern in new_params if matching_names(pattern, leaf_paths({"shared": stats}))
    )
    return merge_checked({"shared": stats}, given, new_params)["shared"]


def by_path(tree: Tree) -> dict[str, jax.Array]:
    """Returns leaves by path."""
    return dict(zip(leaf_paths(tree), jax.tree.leaves(tree), strict=True))


def renamed(
    source: dict[str, jax.Array], param_map: ParamMap, strict: bool = True
) -> dict[str, jax.Array]:
    """Leaves of the source, by their paths in the target model."""
    given = {}
    for pattern, _ in param_map if strict else ():
        if not matching_names(pattern, source):
            raise BadInput(
                f"param_map: {pattern!r} matches nothing of the source: {did_you_mean(pattern, source)}"
            )
    for path, leaf in source.items():
        found = [(re.fullmatch(pattern, path), there) for pattern, there in param_map]
        places = [match.expand(there) for match, there in found if match]
        if not places and path.startswith("shared/"):
            places = [path]
        twice = [place for place in places if place in given]
        if twice:
            raise BadInput(f"param_map: {twice[0]!r} is given twice, the second time by {path!r}")
        given |= dict.fromkeys(places, leaf)
    return given


def matching_names(pattern: str, names) -> list[str]:
    """Names that match a pattern.

    Raises:
      BadInput: if it is not a valid regular expression.
    """
    try:
        return [name for name in names if re.fullmatch(pattern, name)]
    except re.error as wrong:
        raise BadInput(f"pattern {pattern!r} is no regular expression: {wrong}") from None


def merge_checked(tree: Tree, given: dict[str, jax.Array], new_params: tuple[str, ...]) -> Tree:
    """Replaces leaves of a tree by those given, which must cover the trunk except `new_params`."""
    names = leaf_paths(tree)
    new = {name for pattern in new_params for name in matching_names(pattern, names)}
    for pattern in new_params:
        if not matching_names(pattern, names):
            raise BadInput(
                f"new_params: {pattern!r} matches no parameter: {did_you_mean(pattern, names)}"
            )
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
