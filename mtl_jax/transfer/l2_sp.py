"""L2-SP: stay near the parameters that the run started from."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import path_text
from mtl_jax.core.validation import BadInput, require_number


@dataclasses.dataclass(frozen=True)
class L2SP:
    """Penalty on the distance of the trunk from its start, and on the size of the heads.

    `weight * 1/2 ||w - w0||^2 + head_weight * 1/2 ||v||^2`, w the shared parameters, w0
    those of the anchor, v the parameters of the tasks. Turn the optimizer's weight decay
    off (0), or both act: decay draws to 0, this to w0. Nothing flows into the anchor.

    Attributes:
      weight: alpha, of the distance.
      head_weight: beta, of the heads.

    Raises:
      BadInput: for a negative weight; when called, if there is no shared trunk, or no
        anchor because the run has no source.

    Reference: Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning with
      Convolutional Networks, ICML 2018, Section 3 (https://arxiv.org/abs/1802.01483).
    """

    weight: float
    head_weight: float = 0.0

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), head_weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters and those of the start to the penalty `[]`."""
        if not jax.tree.leaves(params["shared"]):
            raise BadInput("L2SP needs a shared trunk, not nets.PerTask or a frozen one")
        if anchor is None:
            raise BadInput("L2SP needs a start to stay near: a run with source=...")
        near = self.weight * l2_sp(params["shared"], anchor["shared"])
        if self.head_weight == 0.0:
            return near
        return near + self.head_weight * half_square(jax.tree.leaves(params["tasks"]))


def l2_sp(params: Tree, anchor: Tree) -> jax.Array:
    """Half the squared distance from a start, `1/2 sum ||w - w0||^2`.

    No gradient flows into `anchor`.

    Args:
      params: tree of arrays; None leaves (frozen parameters) are left out.
      anchor: tree of the same paths and shapes; what it has where `params` is None is not used.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if paths or shapes differ, or there is no leaf.
    """
    leaves, start = by_path(params), by_path(anchor)
    wrong = sorted(leaves.keys() ^ start.keys()) or [
        path
        for path, leaf in leaves.items()
        if leaf is not None and leaf.shape != getattr(start[path], "shape", None)
    ]
    trained = {path: leaf for path, leaf in leaves.items() if leaf is not None}
    if wrong or not trained:
        raise ValueError(f"l2_sp needs params and anchor of equal leaves; different: {wrong}")
    return half_square(
        [leaf - jax.lax.stop_gradient(start[path]) for path, leaf in trained.items()]
    )


def by_path(tree: Tree) -> dict[str, jax.Array | None]:
    """Leaves by their paths, those that are None too."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: leaf is None)
    return {path_text(path): leaf for path, leaf in leaves}


def half_square(leaves: list[jax.Array]) -> jax.Array:
    """Half the squared norm of all leaves."""
    return 0.5 * sum(jnp.square(leaf).sum() for leaf in leaves)
