"""L2-SP: penalizes the distance from the initial (source) parameters."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, leaves_by_path, path_str, sum_arrays
from mtl_jax.core.validation import BadInput, require_number


@dataclasses.dataclass(frozen=True)
class L2SP:
    """L2-SP: penalty on the distance of the trunk from its initial values, and on the heads' norm.

    `weight * 1/2 ||w - w0||^2 + head_weight * 1/2 ||v||^2`, where w are the shared parameters, w0
    their initial values (the anchor), and v the parameters of the tasks. Set the optimizer's weight
    decay to 0, otherwise both act: weight decay pulls towards 0, this penalty towards w0. No
    gradient with respect to the anchor.

    Attributes:
      weight: alpha, the weight of the distance.
      head_weight: beta, the weight of the norm of the heads.

    Raises:
      BadInput: if a weight is negative; when called, if there is no shared trunk, or no anchor
        because the run has no source model.

    Reference: Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning with
      Convolutional Networks, ICML 2018, Section 3 (https://arxiv.org/abs/1802.01483).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> params = {"shared": {"w": jnp.array([1.0, 2.0])}, "tasks": {"v": jnp.array([2.0])}}
      >>> anchor = {"shared": {"w": jnp.zeros(2)}, "tasks": {"v": jnp.zeros(1)}}
      >>> float(transfer.L2SP(weight=0.5, head_weight=0.25)(params, anchor))
      1.75
    """

    weight: float
    head_weight: float = 0.0

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), head_weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters and their initial values to the penalty `[]`."""
        if not jax.tree.leaves(params["shared"]):
            raise BadInput("L2SP needs a shared trunk, not nets.PerTaskTrunk or a frozen one")
        if anchor is None:
            raise BadInput(
                "L2SP needs initial values of a source model: a run with Initialization(init_from=...)"
            )
        distance = self.weight * l2_sp(params["shared"], anchor["shared"])
        if self.head_weight == 0.0:
            return distance
        return distance + self.head_weight * half_square(jax.tree.leaves(params["tasks"]))


def l2_sp(params: Tree, anchor: Tree) -> jax.Array:
    """Half the squared distance from initial parameters, `1/2 sum ||w - w0||^2`.

    No gradient with respect to `anchor`.

    Args:
      params: tree of arrays; None leaves (frozen parameters) are ignored.
      anchor: tree of the same paths and shapes; its leaves are ignored where `params` has None.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if paths or shapes differ, or there are no leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> params, anchor = {"w": jnp.array([1.0, 2.0])}, {"w": jnp.zeros(2)}
      >>> float(transfer.l2_sp(params, anchor))
      2.5
    """
    trained, initial = leaves_by_path(params), leaves_by_path(anchor)
    mismatched = sorted(all_paths(params) ^ all_paths(anchor)) or [
        path
        for path, leaf in trained.items()
        if path not in initial or leaf.shape != initial[path].shape
    ]
    if mismatched or not trained:
        raise ValueError(f"l2_sp needs params and anchor of equal leaves; different: {mismatched}")
    return half_square(
        [leaf - jax.lax.stop_gradient(initial[path]) for path, leaf in trained.items()]
    )


def all_paths(tree: Tree) -> set[str]:
    """The paths of a tree, including those of None leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: leaf is None)
    return {path_str(path) for path, _ in leaves}


def half_square(leaves: list[jax.Array]) -> jax.Array:
    """Half the squared norm of all leaves."""
    return 0.5 * sum_arrays(jnp.square(leaf).sum() for leaf in leaves)
