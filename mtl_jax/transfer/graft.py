"""Graft: put a trained trunk under the heads of another net."""

import jax
import jax.numpy as jnp

from mtl_jax.checks import BadInput
from mtl_jax.protocols import Tree
from mtl_jax.trees import paths


def graft(params: Tree, loaded: Tree) -> Tree:
    """Replaces the shared parameters by loaded ones, all of them or none.

    Args:
      params: `{"shared": ..., "tasks": ...}`; only the outline of `shared` counts.
      loaded: the shared parameters of a source, with the same paths and shapes.

    Returns:
      The parameters with the loaded trunk, in the dtypes of `params`, and their own heads.

    Raises:
      BadInput: if there is no shared trunk; or if any leaf is missing, too many or of
        another shape, with all such leaves named.
    """
    ours, structure = jax.tree.flatten(params["shared"])
    if not ours:
        raise BadInput("graft needs a shared trunk, nets.PerTask has none")
    names = paths(params["shared"])
    theirs = dict(zip(paths(loaded), jax.tree.leaves(loaded), strict=True))
    shapes = {name: jnp.shape(leaf) for name, leaf in zip(names, ours, strict=True)}
    wrong = [
        *(f"missing {name} {shapes[name]}" for name in names if name not in theirs),
        *(f"extra {name} {jnp.shape(leaf)}" for name, leaf in theirs.items() if name not in shapes),
        *(
            f"misshapen {name} {jnp.shape(theirs[name])}, needs {shapes[name]}"
            for name in names
            if name in theirs and jnp.shape(theirs[name]) != shapes[name]
        ),
    ]
    if wrong:
        raise BadInput(f"the loaded trunk does not fit: {'; '.join(wrong)}")
    leaves = [jnp.asarray(theirs[name], leaf.dtype) for name, leaf in zip(names, ours, strict=True)]
    return {**params, "shared": jax.tree.unflatten(structure, leaves)}
