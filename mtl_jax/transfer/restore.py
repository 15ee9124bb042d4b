"""Restoring the parameters of a trained trunk, and optionally of its heads, into another model."""

import re
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp

from mtl_jax.core.head_key import encoder_stats, head_stats, join_stats
from mtl_jax.core.tree import Tree, leaf_paths, leaves_by_path
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> params = {"shared": {"w": jnp.zeros(2)}, "tasks": {"heads": {"digit": jnp.zeros(3)}}}
      >>> loaded = {"shared": {"w": jnp.ones(2)}, "tasks": {"heads": {"label": jnp.ones(3)}}}
      >>> restored = transfer.restore_params(params, loaded)  # not the head
      >>> restored["shared"]["w"].tolist(), restored["tasks"]["heads"]["digit"].tolist()
      ([1.0, 1.0], [0.0, 0.0, 0.0])
    """
    if not jax.tree.leaves(params["shared"]):
        raise BadInput("restore_params needs a shared trunk, nets.PerTaskTrunk has none")
    restored = map_paths(leaves_by_path(loaded), param_map)
    return replace_leaves(params, restored, new_params)


def restore_batch_stats(
    batch_stats: Tree, loaded: Tree, param_map: ParamMap = (), new_params: tuple[str, ...] = ()
) -> Tree:
    """Replaces running statistics by those of a source, like `restore_params` for parameters.

    For `param_map` and `new_params`, the paths of the trunk's begin with `shared/`, and those of
    heads that have some with `tasks/heads/`.

    Raises:
      BadInput: if any leaf is missing, unexpected or of a different shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> batch_stats, loaded = ({"BatchNorm_0": {"mean": x * jnp.ones(2)}} for x in (0.0, 7.0))
      >>> transfer.restore_batch_stats(batch_stats, loaded)["BatchNorm_0"]["mean"].tolist()
      [7.0, 7.0]
    """
    restored = map_paths(leaves_by_path(by_owner(loaded)), param_map, strict=False)
    tree = by_owner(batch_stats)
    paths = leaf_paths(tree)
    new_params = tuple(pattern for pattern in new_params if matching_names(pattern, paths))
    replaced = replace_leaves(tree, restored, new_params)
    return join_stats(replaced["shared"], replaced["tasks"]["heads"])


def by_owner(stats: Tree) -> Tree:
    """Running statistics in the form of the parameters that they belong to."""
    return {"shared": encoder_stats(stats), "tasks": {"heads": head_stats(stats)}}


def map_paths(
    source: Mapping[str, jax.Array], param_map: ParamMap, strict: bool = True
) -> dict[str, jax.Array]:
    """Leaves of the source, by their paths in the target model."""
    mapped = {}
    for pattern, _ in param_map if strict else ():
        if not matching_names(pattern, source):
            hint = did_you_mean(pattern, source)
            raise BadInput(f"param_map: {pattern!r} matches nothing of the source: {hint}")
    for path, leaf in source.items():
        matches = [(re.fullmatch(pattern, path), template) for pattern, template in param_map]
        targets = [match.expand(template) for match, template in matches if match]
        if not targets and path.startswith("shared/"):
            targets = [path]
        duplicates = [target for target in targets if target in mapped]
        if duplicates:
            raise BadInput(
                f"param_map: {duplicates[0]!r} is given twice, the second time by {path!r}"
            )
        mapped |= dict.fromkeys(targets, leaf)
    return mapped


def matching_names(pattern: str, names: Iterable[str]) -> list[str]:
    """Names that match a pattern.

    Raises:
      BadInput: if it is not a valid regular expression.
    """
    try:
        return [name for name in names if re.fullmatch(pattern, name)]
    except re.error as error:
        raise BadInput(f"pattern {pattern!r} is no regular expression: {error}") from None


def replace_leaves(
    tree: Tree, restored: Mapping[str, jax.Array], new_params: tuple[str, ...]
) -> Tree:
    """Replaces leaves of a tree by path; they must cover the trunk except `new_params`."""
    names = leaf_paths(tree)
    new = {name for pattern in new_params for name in matching_names(pattern, names)}
    for pattern in new_params:
        if not matching_names(pattern, names):
            raise BadInput(
                f"new_params: {pattern!r} matches no parameter: {did_you_mean(pattern, names)}"
            )
    current = dict(zip(names, jax.tree.leaves(tree), strict=True))
    restored = {name: leaf for name, leaf in restored.items() if name not in new}
    shape = {name: jnp.shape(leaf) for name, leaf in current.items()}
    trunk = [name for name in names if name.startswith("shared/") and name not in new]
    errors = [
        *(f"missing {name} {shape[name]}" for name in trunk if name not in restored),
        *(
            f"extra {name} {jnp.shape(leaf)}"
            for name, leaf in restored.items()
            if name not in current
        ),
        *(
            f"misshapen {name} {jnp.shape(restored[name])}, needs {shape[name]}"
            for name in names
            if name in restored and jnp.shape(restored[name]) != shape[name]
        ),
    ]
    if errors:
        raise BadInput(f"the loaded net does not fit: {'; '.join(errors)}")
    leaves = [
        jnp.asarray(restored[name], leaf.dtype) if name in restored else leaf
        for name, leaf in current.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)
