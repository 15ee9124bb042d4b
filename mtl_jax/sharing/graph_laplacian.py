"""GraphLaplacian: draw tasks together along the edges of a graph."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require, require_number
from mtl_jax.sharing.stacked import tasks_in, trunks_of

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class GraphLaplacian:
    """Penalty on the differences of tasks that are known to be related.

    `weight / 2 * sum_tu A_tu ||w_t - w_u||^2` over all parameters of the trunks. With
    `A_tu = 1 / K` for all pairs this is `MeanL2`.

    Attributes:
      weight: of the sum.
      adjacency: A, K rows of K numbers of at least 0, symmetric; tasks in the run's order. The
        diagonal adds nothing.

    Raises:
      BadInput: for a bad value; when called, if there is no trunk of each task, or K is
        another.

    Reference: Evgeniou, Micchelli and Pontil, Learning Multiple Tasks with Kernel Methods, JMLR
      2005, graph regularization (https://jmlr.org/papers/v6/evgeniou05a.html).
    """

    weight: float
    adjacency: Matrix

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))
        rule = "must be a tuple of K tuples of K finite numbers of at least 0, symmetric"
        require(is_adjacency(self.adjacency), self, "adjacency", rule, self.adjacency)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        trunks = trunks_of(self, params)
        tasks = tasks_in(trunks)
        rule = f"must have a row for each of the run's {tasks} tasks"
        require(len(self.adjacency) == tasks, self, "adjacency", rule, self.adjacency)
        return self.weight * graph_laplacian(trunks, self.adjacency)


def graph_laplacian(stacked: Tree, adjacency: Matrix) -> jax.Array:
    """Squared differences along edges, `1/2 sum_tu A_tu ||w_t - w_u||^2 = tr(W^T L W)`.

    Args:
      stacked: tree of leaves `[K, ...]`.
      adjacency: A, symmetric, K rows of K numbers.

    Returns:
      A scalar `[]`; exactly 0, with no gradient, when all tasks are equal.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves or from that of A.
    """
    if tasks_in(stacked) != len(adjacency):
        raise ValueError(f"adjacency has {len(adjacency)} rows for {tasks_in(stacked)} tasks")
    degrees = [sum(row) for row in adjacency]
    laplacian = [
        [(i == j) * degrees[i] - edge for j, edge in enumerate(row)]
        for i, row in enumerate(adjacency)
    ]
    return sum(quadratic(leaf, laplacian) for leaf in jax.tree.leaves(stacked))


def quadratic(leaf: jax.Array, laplacian: list[list[float]]) -> jax.Array:
    """`tr(W^T L W)` `[]` of the rows `[K, ...]`."""
    # L sees differences alone: with those from the first task, equal tasks are exactly zero.
    rows = (leaf - leaf[:1]).reshape(len(leaf), -1)
    pushed = jnp.matmul(jnp.asarray(laplacian, rows.dtype), rows, precision="highest")
    return jnp.vdot(rows, pushed, precision="highest")


def is_adjacency(rows: object) -> bool:
    """Whether these are K rows of K finite numbers of at least 0, the same when transposed."""
    if not (isinstance(rows, tuple) and rows and all(isinstance(row, tuple) for row in rows)):
        return False
    square = all(len(row) == len(rows) for row in rows)
    fine = all(type(edge) in (int, float) and 0 <= edge < math.inf for row in rows for edge in row)
    return square and fine and tuple(zip(*rows, strict=True)) == rows
