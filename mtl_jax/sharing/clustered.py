"""Clustered: pulls tasks towards their cluster mean, and clusters towards each other."""

import dataclasses
import math
from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require, require_number
from mtl_jax.sharing.stacked import num_tasks_of, stacked_trunks

Clusters = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Clustered:
    """Penalty on the variance within and between given clusters of tasks.

    `weight * sum_c [sum_{t in c} ||w_t - m_c||^2 + between * |c| ||m_c - m||^2]` over all trunk
    parameters, with m_c the mean of cluster c and m that of all tasks. With `between=1`, or a
    single cluster, this is `MeanL2`. The paper learns the clusters and also penalizes `||m||^2`;
    here the clusters are given, and the latter is left to weight decay.

    Attributes:
      weight: coefficient of the sum.
      clusters: tuples of task indices in the run's order; each task is in exactly one.
      between: weight of the variance between clusters; below 1, tasks are pulled more strongly
        towards their own cluster than towards others.

    Raises:
      BadInput: for an invalid value; when called, if the tasks have no separate trunks, or the
        clusters cover a different number of tasks.

    Reference: Jacob, Bach and Vert, Clustered Multi-Task Learning: A Convex Formulation,
      NeurIPS 2008, Section 2 (https://arxiv.org/abs/0809.2085).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> penalty = sharing.Clustered(0.1, clusters=((0, 1), (2,)), between=0.5)
      >>> trunk = {"kernel": jnp.array([[[1.0]], [[3.0]], [[8.0]]])}
      >>> round(float(penalty({"shared": {}, "tasks": {"trunk": trunk}}, None)), 3)
      1.4
    """

    weight: float
    clusters: Clusters
    between: float = 0.1

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), between=(0.0, math.inf))
        rule = "must be a tuple of tuples with each task's place, from 0, once"
        require(is_partition(self.clusters), self, "clusters", rule, self.clusters)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        trunks = stacked_trunks(self, params)
        num_tasks = num_tasks_of(trunks)
        rule = f"must have each of the run's {num_tasks} tasks"
        count = sum(len(cluster) for cluster in self.clusters)
        require(count == num_tasks, self, "clusters", rule, self.clusters)
        return self.weight * clustered(trunks, self.clusters, self.between)


def clustered(stacked: Tree, clusters: Clusters, between: float) -> jax.Array:
    """Variance within clusters of tasks plus `between` times that between them, as sums.

    Args:
      stacked: tree of leaves `[K, ...]`.
      clusters: a partition of 0 to K - 1.
      between: weight of the variance between clusters.

    Returns:
      A scalar `[]`; exactly 0, with zero gradient, if all tasks are equal.

    Raises:
      ValueError: if there is no leaf, K differs between leaves, or the clusters omit a task.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> stacked = {"bias": jnp.array([[1.0], [3.0], [8.0]])}  # Three tasks.
      >>> float(sharing.clustered(stacked, clusters=((0, 1), (2,)), between=0.0))
      2.0
    """
    num_tasks = num_tasks_of(stacked)
    if sorted(chain(*clusters)) != list(range(num_tasks)):
        raise ValueError(f"clusters {clusters} are none of {num_tasks} tasks")
    averaging = np.zeros((num_tasks, num_tasks))
    for cluster in clusters:
        averaging[np.ix_(cluster, cluster)] = 1.0 / len(cluster)
    return sum_arrays(variances(leaf, averaging, between) for leaf in jax.tree.leaves(stacked))


def variances(leaf: jax.Array, averaging: np.ndarray, between: float) -> jax.Array:
    """Weighted sum of squares `[]` of one leaf `[K, ...]`."""
    # Subtract the first task first, so that equal tasks give exactly zero.
    rows = (leaf - leaf[:1]).reshape(len(leaf), -1)
    means = jnp.matmul(jnp.asarray(averaging, rows.dtype), rows, precision="highest")
    deviations = means - means.mean(0, keepdims=True)
    return jnp.square(rows - means).sum() + between * jnp.square(deviations).sum()


def is_partition(clusters: object) -> bool:
    """Whether these are non-empty tuples that partition 0 to K - 1."""
    if not (isinstance(clusters, tuple) and clusters):
        return False
    if not all(isinstance(cluster, tuple) and cluster for cluster in clusters):
        return False
    tasks = list(chain(*clusters))
    return all(type(task) is int for task in tasks) and sorted(tasks) == list(range(len(tasks)))
