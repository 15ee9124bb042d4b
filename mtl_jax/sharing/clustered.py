"""Clustered: draw each task to the mean of its cluster, and clusters to each other."""

import dataclasses
import math
from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require, require_number
from mtl_jax.sharing.stacked import tasks_in, trunks_of

Clusters = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Clustered:
    """Penalty on the variance within given clusters of tasks, and on that between them.

    `weight * sum_c [sum_{t in c} ||w_t - m_c||^2 + between * |c| ||m_c - m||^2]` over all
    parameters of the trunks, with m_c the mean of cluster c and m that of all tasks. With
    `between=1`, or one cluster, this is `MeanL2`. The paper finds the clusters and also
    penalises `||m||^2`; here they are given, and that is left to weight decay.

    Attributes:
      weight: of the sum.
      clusters: tuples of the tasks' places in the run's order; each task is in one.
      between: weight of the variance between clusters; below 1, tasks are drawn more to their
        own cluster than to others.

    Raises:
      BadInput: for a bad value; when called, if there is no trunk of each task, or the clusters
        are of another number of tasks.

    Reference: Jacob, Bach and Vert, Clustered Multi-Task Learning: A Convex Formulation,
      NeurIPS 2008, Section 2 (https://arxiv.org/abs/0809.2085).
    """

    weight: float
    clusters: Clusters
    between: float = 0.1

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), between=(0.0, math.inf))
        rule = "must be a tuple of tuples with each task's place, from 0, once"
        require(is_partition(self.clusters), self, "clusters", rule, self.clusters)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        trunks = trunks_of(self, params)
        tasks = tasks_in(trunks)
        rule = f"must have each of the run's {tasks} tasks"
        count = sum(len(cluster) for cluster in self.clusters)
        require(count == tasks, self, "clusters", rule, self.clusters)
        return self.weight * clustered(trunks, self.clusters, self.between)


def clustered(stacked: Tree, clusters: Clusters, between: float) -> jax.Array:
    """Variance within clusters of tasks, plus `between` times that between them, as sums.

    Args:
      stacked: tree of leaves `[K, ...]`.
      clusters: each of 0 to K - 1 once.
      between: weight of the variance between clusters.

    Returns:
      A scalar `[]`; exactly 0, with no gradient, when all tasks are equal.

    Raises:
      ValueError: if there is no leaf, K differs between leaves, or the clusters leave one out.
    """
    if sorted(chain(*clusters)) != list(range(tasks_in(stacked))):
        raise ValueError(f"clusters {clusters} are none of {tasks_in(stacked)} tasks")
    averages = np.zeros((tasks_in(stacked),) * 2)
    for cluster in clusters:
        averages[np.ix_(cluster, cluster)] = 1.0 / len(cluster)
    return sum(variances(leaf, averages, between) for leaf in jax.tree.leaves(stacked))


def variances(leaf: jax.Array, averages: np.ndarray, between: float) -> jax.Array:
    """The sums of squares `[]` of one leaf `[K, ...]`."""
    # Differences from the first task first: equal tasks are then exactly zero.
    rows = (leaf - leaf[:1]).reshape(len(leaf), -1)
    means = jnp.matmul(jnp.asarray(averages, rows.dtype), rows, precision="highest")
    apart = means - means.mean(0, keepdims=True)
    return jnp.square(rows - means).sum() + between * jnp.square(apart).sum()


def is_partition(clusters: object) -> bool:
    """Whether these are tuples with each of 0 to K - 1 once, none of them empty."""
    if not (isinstance(clusters, tuple) and clusters):
        return False
    if not all(isinstance(cluster, tuple) and cluster for cluster in clusters):
        return False
    tasks = list(chain(*clusters))
    return all(type(task) is int for task in tasks) and sorted(tasks) == list(range(len(tasks)))
