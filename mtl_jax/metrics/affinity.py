"""Inter-task affinity, and task grouping based on it."""

import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import require

MAX_TASKS = 15  # Takes seconds; each further task triples the time.


def inter_task_affinity(
    losses: Callable[[chex.ArrayTree], jax.Array],
    shared: chex.ArrayTree,
    rate: float | jax.Array,
    each: Callable = lambda step, choices: jax.vmap(step)(choices),
) -> jax.Array:
    """Inter-task affinity: relative decrease of each task's loss after a step on another task.

    `Z_ij = 1 - L_j(theta - rate grad L_i(theta)) / L_j(theta)`: a gradient step on task i,
    applied to the shared parameters only, evaluated on task j with the same batch. A positive
    value means that i helps j. If `L_j(theta)` is not positive, the relative decrease is
    undefined and Z_ij is 0. The result carries no gradient.

    It costs K backward and K forward passes, and stores K copies of the shared parameters.

    Args:
      losses: maps the shared parameters to the task losses `[K]`; the task-specific parameters
        and the batch are closed over.
      shared: theta, a pytree of floats.
      rate: learning rate of the step.
      each: maps a function over the rows of an array; override it where `vmap` is slow, such as
        for convolutions batched over their kernels on a CPU.

    Returns:
      The matrix `[K, K]`; its diagonal is the effect of a step on the task itself.

    Raises:
      AssertionError: at trace time, if `losses` does not return floats `[K]`.

    Reference: Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning,
      NeurIPS 2021, Eq. 1 (https://arxiv.org/abs/2109.04617).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> def losses(x):
      ...     return jnp.stack([x**2, (x - 2.0) ** 2])
      >>> metrics.inter_task_affinity(losses, jnp.array(1.0), rate=0.25).tolist()
      [[0.75, -1.25], [-1.25, 0.75]]
    """
    before, pullback = jax.vjp(losses, shared)
    chex.assert_rank(before, 1)
    chex.assert_type(before, float)

    def losses_after_step(one_hot: jax.Array) -> jax.Array:
        (gradient,) = pullback(one_hot)
        return losses(jax.tree.map(lambda param, grad: param - rate * grad, shared, gradient))

    after = each(losses_after_step, jnp.eye(len(before), dtype=before.dtype))
    undefined = before <= 0  # Written so that NaN propagates.
    decrease = 1.0 - after / jnp.where(undefined, 1.0, before)[None, :]
    return jax.lax.stop_gradient(jnp.where(undefined[None, :], 0.0, decrease))


def group_tasks(
    affinity: np.ndarray, groups: int, singleton_score: float = -1e6
) -> tuple[tuple[int, ...], ...]:
    """Optimal task groups: at most `groups` of them, covering all tasks.

    They maximize `sum_j max_(G with j) s_G(j)`, where `s_G(j) = mean_(i in G, i != j) Z_ij` is
    the mean effect of the other members of a group on task j. Groups may overlap: each task is
    scored in its best group only, and may also be in another group because it helps there.

    The optimum is exact. Each task is scored in one group, so tasks are partitioned into blocks;
    the best group of a block adds, for each size, the outside tasks that help the block most;
    and the best partition is found by dynamic programming over all subsets. That takes
    `2^K K log K` steps for the groups and `groups 3^K` for the partition, and memory for
    `K 2^K` numbers: below a second for 12 tasks.

    Args:
      affinity: Z `[K, K]`, `inter_task_affinity` averaged over training, or gradient cosines;
        row i acts on column j. The diagonal is ignored.
      groups: maximum number of groups.
      singleton_score: score of a task in a group of one. The default is that of the authors'
        code, so low that no task is left alone; with 0, a task that all others hurt is alone.

    Returns:
      The distinct groups, each a sorted tuple of task indices, in sorted order.

    Raises:
      BadInput: for another shape, values that are not finite, no groups, or more tasks than
        can be searched.

    Reference: Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning,
      NeurIPS 2021, its section on network selection (https://arxiv.org/abs/2109.04617), where
      branch and bound over sets of groups is used.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> affinity = np.array([[0.0, 0.9, -0.2], [0.8, 0.0, -0.1], [-0.3, 0.1, 0.0]])
      >>> metrics.group_tasks(affinity, groups=2)
      ((0, 1), (1, 2))
      >>> metrics.group_tasks(affinity, groups=2, singleton_score=0.0)
      ((0, 1), (2,))
    """
    matrix = np.array(affinity, np.float64)
    require_valid(matrix, groups, singleton_score)
    np.fill_diagonal(matrix, 0.0)
    values, members = best_groups(matrix, singleton_score)
    blocks = best_partition(values, min(groups, len(matrix)))
    return tuple(sorted({tuple(np.flatnonzero(members[block]).tolist()) for block in blocks}))


def require_valid(matrix: np.ndarray, groups: int, singleton_score: float) -> None:
    """Requires valid arguments of `group_tasks`."""
    square = matrix.ndim == 2 and len(matrix) > 0 and matrix.shape[0] == matrix.shape[1]
    require(square, "group_tasks", "affinity", "must be numbers [K, K]", matrix.shape)
    invalid = matrix[~np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)].tolist()
    rule = "must be finite where tasks differ"
    require(not invalid, "group_tasks", "affinity", rule, invalid[:1])
    positive = isinstance(groups, int) and not isinstance(groups, bool) and groups >= 1
    require(positive, "group_tasks", "groups", "must be an integer of at least 1", groups)
    require(
        math.isfinite(singleton_score),
        "group_tasks",
        "singleton_score",
        "must be finite",
        singleton_score,
    )
    rule = f"must have at most {MAX_TASKS} tasks; join some that are alike, averaging their rows"
    valid = len(matrix) <= MAX_TASKS
    require(valid, "group_tasks", "affinity", f"{rule} and columns", matrix.shape)


def best_groups(matrix: np.ndarray, singleton_score: float) -> tuple[np.ndarray, np.ndarray]:
    """For every block of tasks `[2^K]`, as a bit mask, its highest total score in one group.

    Returns:
      The total scores `[2^K]`, and the members of the best groups, bools `[2^K, K]`.
    """
    count = len(matrix)
    in_block = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    effect = in_block @ matrix.T  # [2^K, K], effect of each task on all of the block.
    block_effect = np.where(in_block, effect, 0.0).sum(1)
    order = np.argsort(np.where(in_block, -np.inf, -effect), axis=1)  # The block, then others.
    added_effect = np.take_along_axis(np.where(in_block, 0.0, effect), order, 1).cumsum(1)
    sizes = np.arange(1, count + 1)
    scores = (block_effect[:, None] + added_effect) / np.maximum(sizes - 1, 1)
    scores[:, 0] = singleton_score
    scores[sizes < in_block.sum(1)[:, None]] = -np.inf
    best = scores.argmax(1)
    members = np.zeros_like(in_block)
    np.put_along_axis(members, order, np.arange(count) <= best[:, None], 1)
    return scores.max(1), members


def best_partition(values: np.ndarray, blocks: int) -> list[int]:
    """The partition of all tasks into at most `blocks` bit masks with the highest total value."""
    full = len(values) - 1
    best, choices = values, []
    for num_blocks in range(2, blocks + 1):
        subproblems = range(1, full + 1) if num_blocks < blocks else (full,)
        choice = np.arange(full + 1)
        next_best = best.copy()
        for tasks in subproblems:
            first = subsets_with_lowest(tasks)
            total = values[first] + np.where(first == tasks, 0.0, best[tasks - first])
            index = total.argmax()
            choice[tasks], next_best[tasks] = first[index], total[index]
        best = next_best
        choices.append(choice)
    return backtrack(full, choices)


def subsets_with_lowest(tasks: int) -> np.ndarray:
    """All subsets that contain the lowest task, the full set first."""
    subsets = np.array([tasks])
    for bit in (1 << task for task in range(tasks.bit_length())):
        if tasks & bit and tasks & (bit - 1):
            subsets = np.concatenate([subsets, subsets - bit])
    return subsets


def backtrack(tasks: int, choices: list[np.ndarray]) -> list[int]:
    """Backtracks through the choices block by block; the last block takes the remaining tasks."""
    blocks = []
    for choice in reversed(choices):
        blocks.append(int(choice[tasks]))
        tasks -= blocks[-1]
        if tasks == 0:
            return blocks
    return [*blocks, tasks]
