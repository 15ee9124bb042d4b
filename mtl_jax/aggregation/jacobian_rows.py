"""Row operations on a pytree of K gradients: norms, scaling and sums."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import global_norm


def row_norms(jacobian) -> jax.Array:
    """Euclidean norm of each row, `[K]`, without intermediate overflow or underflow."""
    return jax.vmap(global_norm)(jacobian)


def broadcast_rows(factors: jax.Array, leaf: jax.Array) -> jax.Array:
    """Reshapes factors `[K]` to broadcast against the rows of a leaf `[K, ...]`."""
    return factors.astype(leaf.dtype).reshape(-1, *[1] * (leaf.ndim - 1))


def scaled(factors: jax.Array, jacobian):
    """Multiplies every row by its factor."""
    return jax.tree.map(lambda leaf: broadcast_rows(factors, leaf) * leaf, jacobian)


def ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    """`above / below`, and 0 where `below` is 0."""
    there = below != 0
    return jnp.where(there, above / jnp.where(there, below, 1.0), 0.0)


def sum_rows(weighted, jacobian) -> tuple:
    """Sums the weighted rows, and computes the effective weight of each row.

    Args:
      weighted: pytree of leaves `[K, ...]`, the rows multiplied by a weight per coordinate.
      jacobian: the unweighted rows.

    Returns:
      The sum over rows, a pytree of leaves `[...]`; and the mean weight of each row `[K]`, with
      coordinates weighted by their absolute values (0 for a zero row). Both are NaN if any entry of
      the rows is not finite: a method that drops entries must not hide that.
    """
    whole = total_size(jacobian)
    finite = jnp.isfinite(whole).all()
    gradient = jax.tree.map(lambda leaf: jnp.where(finite, leaf.sum(0), jnp.nan), weighted)
    return gradient, jnp.where(finite, ratio(total_size(weighted), whole), jnp.nan)


def total_size(jacobian) -> jax.Array:
    """Sum of the absolute values of each row, `[K]`."""
    leaves = jax.tree.leaves(jacobian)
    return sum(jnp.abs(leaf).reshape(len(leaf), -1).sum(1) for leaf in leaves)


def zero_rows(num_tasks: int, shared):
    """Zero rows for parameters, given as arrays or shapes."""
    return jax.tree.map(lambda leaf: jnp.zeros((num_tasks, *leaf.shape), leaf.dtype), shared)


def where_finite(finite: jax.Array, new, old):
    """The new state if the step was finite, else the old one."""
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
