"""Operations on parameter trees: inner products, averages, and selection by path."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import BadInput, did_you_mean

Tree = Any  # A pytree of arrays.


def gram(jacobian, other=None) -> jax.Array:
    """Gram matrix of K gradients, `G_ij = <g_i, g_j>`, or inner products with other gradients.

    Args:
      jacobian: tree of leaves `[K, ...]`; row i of all leaves is the gradient of task i.
      other: a second Jacobian, whose rows are the columns of the result, such as that of another
        batch; None uses `jacobian`.

    Returns:
      The matrix `[K, K]`, accumulated over leaves without building a flat Jacobian.

    Raises:
      ValueError: if the tree has no leaves.
    """
    leaves = jax.tree.leaves(jacobian)
    if not leaves:
        raise ValueError("gram needs a tree with at least one leaf, not an empty one")
    columns = leaves if other is None else jax.tree.leaves(other)
    flat = [
        (a.reshape(a.shape[0], -1), b.reshape(b.shape[0], -1))
        for a, b in zip(leaves, columns, strict=True)
    ]
    return sum_arrays(jnp.matmul(a, b.T, precision="highest") for a, b in flat)


def sum_arrays(terms: Iterable[jax.Array]) -> jax.Array:
    """Sum of arrays of one shape; 0 `[]` without any."""
    return jnp.asarray(sum(terms))


def global_norm(tree) -> jax.Array:
    """Euclidean norm `[]` of all leaves together, scaled so that squares do not overflow."""
    largest = jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(tree)]).max()
    unit = jnp.where(largest > 0, largest, 1.0)
    return unit * jnp.sqrt(
        sum_arrays(jnp.square(leaf / unit).sum() for leaf in jax.tree.leaves(tree))
    )


def ascend(tree, direction, length: float):
    """Moves a tree along a direction, `w + length * d / ||d||`; unchanged where d is zero."""
    if not jax.tree.leaves(direction):
        return tree
    norm = global_norm(direction)
    scale = length / jnp.where(norm == 0.0, 1.0, norm)
    return jax.tree.map(lambda w, d: w + scale.astype(d.dtype) * d, tree, direction)


def weighted_sum(weights: jax.Array, jacobian):
    """Weighted sum of K gradients, `sum_i w_i g_i`, leaf by leaf.

    Args:
      weights: `[K]`.
      jacobian: tree of leaves `[K, ...]`.

    Returns:
      The tree of leaves `[...]`.
    """
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), jacobian)


def ema_update(old, new, momentum: float | jax.Array):
    """Exponential moving average, `momentum * old + (1 - momentum) * new`, leaf by leaf."""
    return jax.tree.map(lambda a, b: momentum * a + (1.0 - momentum) * b, old, new)


def path_str(path) -> str:
    """A leaf's path as a string such as `shared/Dense_0/kernel`."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def leaf_paths(tree) -> list[str]:
    """The path of every leaf, in the order of `jax.tree.leaves`."""
    return [path_str(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def leaves_by_path(tree: Tree) -> dict[str, jax.Array]:
    """The leaves of a tree by path; None leaves are skipped."""
    return dict(zip(leaf_paths(tree), jax.tree.leaves(tree), strict=True))


def match_paths(tree, patterns: Iterable[str]):
    """Returns for every leaf whether any pattern matches its whole path.

    Args:
      tree: any tree.
      patterns: regular expressions over paths such as `shared/Dense_0/kernel`.

    Returns:
      The tree with a bool for each leaf.

    Raises:
      BadInput: if a pattern is not a valid regular expression, or matches nothing.
    """
    names = leaf_paths(tree)
    for pattern in patterns:
        try:
            found = any(re.fullmatch(pattern, name) for name in names)
        except re.error as error:
            raise BadInput(f"pattern {pattern!r} is no regular expression: {error}") from None
        if not found:
            raise BadInput(
                f"pattern {pattern!r} matches no parameter: {did_you_mean(pattern, names)}"
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(re.fullmatch(p, path_str(path)) for p in patterns), tree
    )


def partition(tree, chosen):
    """Splits a tree into two of the same structure, each with None at the other's leaves.

    Args:
      tree: any tree without None.
      chosen: tree of bools of the same structure.

    Returns:
      `(selected, rest)`: the chosen leaves, and the others. `merge` is the inverse.
    """
    selected = jax.tree.map(lambda leaf, is_selected: leaf if is_selected else None, tree, chosen)
    rest = jax.tree.map(lambda leaf, is_selected: None if is_selected else leaf, tree, chosen)
    return selected, rest


def merge(selected, rest):
    """Inverse of `partition`."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, selected, rest, is_leaf=lambda x: x is None
    )


def num_examples(tree) -> int:
    """Number of examples N of a tree of arrays `[N, ...]`."""
    return jax.tree.leaves(tree)[0].shape[0]


def shapes_of(tree: Tree) -> Tree:
    """The shapes and dtypes of all leaves."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def take(tree: Tree, index: jax.Array) -> Tree:
    """The examples of a tree of arrays `[N, ...]` at indices `[n]`."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def concatenate(trees: Sequence[Tree]) -> Tree:
    """Concatenates trees of arrays `[n, ...]` along their examples."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def num_params(tree) -> int:
    """Number of scalars in all leaves."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def unit(vectors: jax.Array) -> jax.Array:
    """Normalizes vectors to norm 1, `v / ||v||`.

    A vector whose largest absolute entry is too small to divide by (at most the dtype's smallest
    normal number divided by its epsilon) becomes 0 and has no gradient.

    Args:
      vectors: `[..., D]`.

    Returns:
      The same shape.
    """
    # Squares could underflow or overflow; the direction does not depend on the scale.
    size = jax.lax.stop_gradient(jnp.abs(vectors).max(-1, keepdims=True, initial=0.0))
    # Not `size > least`: NaN must stay NaN.
    none = size <= jnp.finfo(size.dtype).tiny / jnp.finfo(size.dtype).eps
    scaled = vectors / jnp.where(none, 1.0, size)
    squares = jnp.where(none, 1.0, jnp.square(scaled).sum(-1, keepdims=True))
    return jnp.where(none, 0.0, scaled * jax.lax.rsqrt(squares))


def promote_float32(array: jax.Array) -> jax.Array:
    """Casts an array with fewer than 32 bits to float32, and returns others unchanged."""
    return array if jnp.finfo(array.dtype).bits >= 32 else array.astype(jnp.float32)


def ema_decay_at(decay: float, step: jax.Array) -> jax.Array:
    """Decay of the averaged parameters at step t, `min(decay, (1 + t) / (10 + t))`, `[]`.

    It is smaller at first, so that the average forgets the random initialisation.
    """
    count = step.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + count) / (10.0 + count))
