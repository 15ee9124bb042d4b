"""GraphLaplacian: pulls tasks together along the edges of a graph."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require, require_number
from mtl_jax.sharing.stacked import num_tasks_of, stacked_trunks

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class GraphLaplacian:
    """Penalty on the differences between tasks that are known to be related.

    `weight / 2 * sum_tu A_tu ||w_t - w_u||^2` over all trunk parameters. With `A_tu = 1 / K` for
    all pairs this is `MeanL2`.

    Attributes:
      weight: coefficient of the sum.
      adjacency: A, K rows of K non-negative numbers, symmetric; tasks in the run's order. The
        diagonal has no effect.

    Raises:
      BadInput: for an invalid value; when called, if the tasks have no separate trunks, or their
        number is not K.

    Reference: Evgeniou, Micchelli and Pontil, Learning Multiple Tasks with Kernel Methods, JMLR
      2005, graph regularization (https://jmlr.org/papers/v6/evgeniou05a.html).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> adjacency = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0))  # Tasks 0 and 1.
      >>> penalty = sharing.GraphLaplacian(0.1, adjacency)
      >>> trunk = {"kernel": jnp.array([[[1.0]], [[3.0]], [[8.0]]])}
      >>> round(float(penalty({"shared": {}, "tasks": {"trunk": trunk}}, None)), 3)
      0.4
    """

    weight: float
    adjacency: Matrix

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))
        rule = "must be a tuple of K tuples of K finite numbers of at least 0, symmetric"
        require(is_adjacency(self.adjacency), self, "adjacency", rule, self.adjacency)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        trunks = stacked_trunks(self, params)
        num_tasks = num_tasks_of(trunks)
        rule = f"must have a row for each of the run's {num_tasks} tasks"
        require(len(self.adjacency) == num_tasks, self, "adjacency", rule, self.adjacency)
        return self.weight * graph_laplacian(trunks, self.adjacency)


def graph_laplacian(stacked: Tree, adjacency: Matrix) -> jax.Array:
    """Squared differences along edges, `1/2 sum_tu A_tu ||w_t - w_u||^2 = tr(W^T L W)`.

    Args:
      stacked: tree of leaves `[K, ...]`.
      adjacency: A, symmetric, K rows of K numbers.

    Returns:
      A scalar `[]`; exactly 0, with zero gradient, if all tasks are equal.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves or from the size of A.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> stacked = {"bias": jnp.array([[1.0], [3.0]])}  # Two tasks.
      >>> float(sharing.graph_laplacian(stacked, adjacency=((0.0, 1.0), (1.0, 0.0))))
      4.0
    """
    num_tasks = num_tasks_of(stacked)
    if num_tasks != len(adjacency):
        raise ValueError(f"adjacency has {len(adjacency)} rows for {num_tasks} tasks")
    degrees = [sum(row) for row in adjacency]
    laplacian = [
        [(i == j) * degrees[i] - edge for j, edge in enumerate(row)]
        for i, row in enumerate(adjacency)
    ]
    return sum_arrays(quadratic_form(leaf, laplacian) for leaf in jax.tree.leaves(stacked))


def quadratic_form(leaf: jax.Array, laplacian: list[list[float]]) -> jax.Array:
    """`tr(W^T L W)` `[]` of the rows `[K, ...]`."""
    # L depends only on differences: relative to the first task, equal tasks give exactly zero.
    rows = (leaf - leaf[:1]).reshape(len(leaf), -1)
    products = jnp.matmul(jnp.asarray(laplacian, rows.dtype), rows, precision="highest")
    return jnp.vdot(rows, products, precision="highest")


def is_adjacency(rows: object) -> bool:
    """Whether these are K rows of K finite, non-negative numbers that form a symmetric matrix."""
    if not (isinstance(rows, tuple) and rows and all(isinstance(row, tuple) for row in rows)):
        return False
    square = all(len(row) == len(rows) for row in rows)
    valid = all(type(edge) in (int, float) and 0 <= edge < math.inf for row in rows for edge in row)
    return square and valid and tuple(zip(*rows, strict=True)) == rows
