"""Rows of a tree of K gradients: their lengths, one factor for each, and their sum."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import norm


def lengths(jacobian) -> jax.Array:
    """Euclidean norm of each row, `[K]`; no square overflows or vanishes on the way."""
    return jax.vmap(norm)(jacobian)


def spread(factors: jax.Array, leaf: jax.Array) -> jax.Array:
    """Factors `[K]` in a shape that multiplies the rows of a leaf `[K, ...]`."""
    return factors.astype(leaf.dtype).reshape(-1, *[1] * (leaf.ndim - 1))


def scaled(factors: jax.Array, jacobian):
    """Every row times its factor."""
    return jax.tree.map(lambda leaf: spread(factors, leaf) * leaf, jacobian)


def ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    """`above / below`, and 0 where `below` is 0."""
    there = below != 0
    return jnp.where(there, above / jnp.where(there, below, 1.0), 0.0)


def collect(weighted, jacobian) -> tuple:
    """Adds up what is left of each row, and tells how much of it that is.

    Args:
      weighted: tree of leaves `[K, ...]`, the rows times a weight of each coordinate.
      jacobian: the rows themselves.

    Returns:
      The sum over rows, a tree of leaves `[...]`; and the mean weight of each row `[K]`, where
      a coordinate counts by its absolute value (0 for a zero row). Both are NaN if anything
      in the rows is not finite: a method that leaves numbers out must not hide that.
    """
    whole = total_size(jacobian)
    finite = jnp.isfinite(whole).all()
    gradient = jax.tree.map(lambda leaf: jnp.where(finite, leaf.sum(0), jnp.nan), weighted)
    return gradient, jnp.where(finite, ratio(total_size(weighted), whole), jnp.nan)


def total_size(jacobian) -> jax.Array:
    """Sum of the absolute values of each row, `[K]`."""
    leaves = jax.tree.leaves(jacobian)
    return sum(jnp.abs(leaf).reshape(len(leaf), -1).sum(1) for leaf in leaves)


def blank(num_tasks: int, shared):
    """Rows of zeros for parameters, or for their shapes."""
    return jax.tree.map(lambda leaf: jnp.zeros((num_tasks, *leaf.shape), leaf.dtype), shared)


def keep(finite: jax.Array, new, old):
    """The next state, or the old one after a step that was not finite."""
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
