"""Row operations on a pytree of K gradients: norms, scaling and sums."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, global_norm, sum_arrays


def row_norms(jacobian: Tree) -> jax.Array:
    """Euclidean norm of each row, `[K]`, without intermediate overflow or underflow."""
    return jax.vmap(global_norm)(jacobian)


def broadcast_rows(factors: jax.Array, leaf: jax.Array) -> jax.Array:
    """Reshapes factors `[K]` to broadcast against the rows of a leaf `[K, ...]`."""
    return factors.astype(leaf.dtype).reshape(-1, *[1] * (leaf.ndim - 1))


def scale_rows(factors: jax.Array, jacobian: Tree) -> Tree:
    """Multiplies every row by its factor."""
    return jax.tree.map(lambda leaf: broadcast_rows(factors, leaf) * leaf, jacobian)


def safe_divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """`numerator / denominator`, and 0 where the denominator is 0."""
    nonzero = denominator != 0
    return jnp.where(nonzero, numerator / jnp.where(nonzero, denominator, 1.0), 0.0)


def sum_rows(weighted: Tree, jacobian: Tree) -> tuple[Tree, jax.Array]:
    """Sums the weighted rows, and computes the effective weight of each row.

    Args:
      weighted: pytree of leaves `[K, ...]`, the rows multiplied by a weight per coordinate.
      jacobian: the unweighted rows.

    Returns:
      The sum over rows, a pytree of leaves `[...]`; and the mean weight of each row `[K]`, with
      coordinates weighted by their absolute values (0 for a zero row). Both are NaN if any entry of
      the rows is not finite: a method that drops entries must not hide that.
    """
    norms = l1_norms(jacobian)
    finite = jnp.isfinite(norms).all()
    gradient = jax.tree.map(lambda leaf: jnp.where(finite, leaf.sum(0), jnp.nan), weighted)
    return gradient, jnp.where(finite, safe_divide(l1_norms(weighted), norms), jnp.nan)


def l1_norms(jacobian: Tree) -> jax.Array:
    """Sum of the absolute values of each row, `[K]`."""
    leaves = jax.tree.leaves(jacobian)
    return sum_arrays(jnp.abs(leaf).reshape(len(leaf), -1).sum(1) for leaf in leaves)


def zero_rows(num_tasks: int, shared: Tree) -> Tree:
    """Zero rows for parameters, given as arrays or shapes; raises like `require_params`."""
    require_params(shared)
    return jax.tree.map(lambda leaf: jnp.zeros((num_tasks, *leaf.shape), leaf.dtype), shared)


def require_params(shared: Tree) -> None:
    """Requires the parameters that an initial state is for.

    Raises:
      ValueError: if they are None.
    """
    if shared is None:
        raise ValueError("init needs the parameters that gradients are with respect to, not None")


def where_finite(finite: jax.Array, new: Tree, old: Tree) -> Tree:
    """The new state if the step was finite, else the old one."""
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
