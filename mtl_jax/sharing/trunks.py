"""The door of every penalty of this room: one trunk a task."""

import jax

from mtl_jax.checks import BadInput
from mtl_jax.protocols import Tree


def trunks_of(penalty: object, params: Tree) -> Tree:
    """The trunks of all tasks, a tree of leaves `[K, ...]`.

    Raises:
      BadInput: if the tasks have no trunks of their own.
    """
    trunks = params["tasks"].get("trunk")
    if not jax.tree.leaves(trunks):
        name = type(penalty).__name__
        raise BadInput(f"{name} needs one trunk a task: trunk=nets.PerTask(...)")
    return trunks


def require_tasks(stacked: Tree) -> None:
    """Requires leaves with one leading axis K.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves.
    """
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(f"stacked needs leaves [K, ...] of one K, not leading axes {sizes}")
