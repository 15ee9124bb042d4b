"""Which tasks help which: the effect of one task's step on the others, and groups by it."""

import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import require

MOST_TASKS = 15  # Some seconds; every further task takes three times as long.


def lookahead(
    losses: Callable[[chex.ArrayTree], jax.Array],
    shared: chex.ArrayTree,
    rate: float | jax.Array,
    each: Callable = lambda step, choices: jax.vmap(step)(choices),
) -> jax.Array:
    """Inter-task affinity: by what share a step for one task lowers the loss of each other.

    `Z_ij = 1 - L_j(theta - rate grad L_i(theta)) / L_j(theta)`: task i takes the step, on the
    shared parameters only, and task j is asked, on the same batch. Above 0, i helps j. Where
    `L_j(theta)` is not positive there is no share of it, and Z_ij is 0. No gradient flows out.

    It costs K backward and K forward passes, and holds K copies of the shared parameters.

    Args:
      losses: maps the shared parameters to the losses of the tasks, `[K]`; what belongs to
        tasks and the batch are fixed inside.
      shared: theta, any tree of floats.
      rate: length of the step, in gradients.
      each: maps a function over the rows of an array; a convolution on a CPU does not want to
        be vmapped over its kernels.

    Returns:
      The matrix `[K, K]`; its diagonal says how much a step helps the task itself.

    Raises:
      AssertionError: if `losses` gives no floats `[K]`, when traced.

    Reference: Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning,
      NeurIPS 2021, Eq. 1 (https://arxiv.org/abs/2109.04617).
    """
    before, pullback = jax.vjp(losses, shared)
    chex.assert_rank(before, 1)
    chex.assert_type(before, float)

    def stepped(choice: jax.Array) -> jax.Array:
        (gradient,) = pullback(choice)
        return losses(jax.tree.map(lambda old, slope: old - rate * slope, shared, gradient))

    after = each(stepped, jnp.eye(len(before), dtype=before.dtype))
    flat = before <= 0  # So that a NaN stays one.
    share = 1.0 - after / jnp.where(flat, 1.0, before)[None, :]
    return jax.lax.stop_gradient(jnp.where(flat[None, :], 0.0, share))


def group_tasks(
    affinity: np.ndarray, groups: int, alone: float = -1e6
) -> tuple[tuple[int, ...], ...]:
    """The groups in which tasks are best trained together, at most so many, covering all.

    They maximise `sum_j max_(G with j) s_G(j)`, where `s_G(j) = mean_(i in G, i != j) Z_ij` is
    how the others of a group act on task j. Groups may overlap: a task counts where it is best
    off, and may stand in another group only because it helps there.

    The optimum is exact. Every task has one group that it counts in, so tasks are parted into
    blocks; the best group of a block adds, for each size, the outside tasks that help the block
    most; and the best partition is found over all subsets. That takes `2^K K log K` steps for
    the groups and `groups 3^K` for the partition, and memory for `K 2^K` numbers: below a
    second for 12 tasks.

    Args:
      affinity: Z `[K, K]`, of `lookahead` averaged over the training, or cosines of gradients;
        row i acts on column j. The diagonal is not read.
      groups: how many there may be.
      alone: score of a task in a group of one. The default is the authors' code's, so low that
        no task is left alone; with 0 a task is alone that all others hurt.

    Returns:
      Groups as rising numbers of tasks, in rising order, each once.

    Raises:
      BadInput: for another shape, numbers that are not finite, no groups, or more tasks than
        can be searched.

    Reference: Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning,
      NeurIPS 2021, its section on network selection (https://arxiv.org/abs/2109.04617); there
      by branch and bound over sets of groups.
    """
    matrix = np.array(affinity, np.float64)
    check(matrix, groups, alone)
    np.fill_diagonal(matrix, 0.0)
    values, members = best_groups(matrix, alone)
    blocks = best_partition(values, min(groups, len(matrix)))
    return tuple(sorted({tuple(np.flatnonzero(members[block]).tolist()) for block in blocks}))


def check(matrix: np.ndarray, groups: int, alone: float) -> None:
    """Refuses what cannot be grouped."""
    square = matrix.ndim == 2 and len(matrix) > 0 and matrix.shape[0] == matrix.shape[1]
    require(square, "group_tasks", "affinity", "must be numbers [K, K]", matrix.shape)
    wrong = matrix[~np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)].tolist()
    require(not wrong, "group_tasks", "affinity", "must be finite where tasks differ", wrong[:1])
    whole = isinstance(groups, int) and not isinstance(groups, bool) and groups >= 1
    require(whole, "group_tasks", "groups", "must be a whole number of at least 1", groups)
    require(math.isfinite(alone), "group_tasks", "alone", "must be finite", alone)
    rule = f"must have at most {MOST_TASKS} tasks; join some that are alike, averaging their rows"
    few = len(matrix) <= MOST_TASKS
    require(few, "group_tasks", "affinity", f"{rule} and columns", matrix.shape)


def best_groups(matrix: np.ndarray, alone: float) -> tuple[np.ndarray, np.ndarray]:
    """For every block of tasks `[2^K]`, as bits, the highest sum of its scores in one group.

    Returns:
      The sums `[2^K]`, and who is in that group, bools `[2^K, K]`.
    """
    count = len(matrix)
    inside = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    effect = inside @ matrix.T  # [2^K, K], of each task on the whole block.
    own = np.where(inside, effect, 0.0).sum(1)
    order = np.argsort(np.where(inside, -np.inf, -effect), axis=1)  # The block, then helpers.
    helped = np.take_along_axis(np.where(inside, 0.0, effect), order, 1).cumsum(1)
    sizes = np.arange(1, count + 1)
    sums = (own[:, None] + helped) / np.maximum(sizes - 1, 1)
    sums[:, 0] = alone
    sums[sizes < inside.sum(1)[:, None]] = -np.inf
    best = sums.argmax(1)
    members = np.zeros_like(inside)
    np.put_along_axis(members, order, np.arange(count) <= best[:, None], 1)
    return sums.max(1), members


def best_partition(values: np.ndarray, blocks: int) -> list[int]:
    """The at most so many blocks, as bits, that part all tasks at the highest sum of values."""
    full = len(values) - 1
    reached, chosen = values, []
    for left in range(2, blocks + 1):
        wanted = range(1, full + 1) if left < blocks else (full,)
        choice = np.arange(full + 1)
        sums = reached.copy()
        for tasks in wanted:
            first = with_lowest(tasks)
            total = values[first] + np.where(first == tasks, 0.0, reached[tasks - first])
            place = total.argmax()
            choice[tasks], sums[tasks] = first[place], total[place]
        reached = sums
        chosen.append(choice)
    return traced(full, chosen)


def with_lowest(tasks: int) -> np.ndarray:
    """All subsets that hold the lowest task, the whole set first."""
    subsets = np.array([tasks])
    for bit in (1 << place for place in range(tasks.bit_length())):
        if tasks & bit and tasks & (bit - 1):
            subsets = np.concatenate([subsets, subsets - bit])
    return subsets


def traced(tasks: int, chosen: list[np.ndarray]) -> list[int]:
    """Goes back through the choices of one block after the other; the last takes what is left."""
    blocks = []
    for choice in reversed(chosen):
        blocks.append(int(choice[tasks]))
        tasks -= blocks[-1]
        if tasks == 0:
            return blocks
    return [*blocks, tasks]
