"""NDDR: one trunk a task, and after each stage every task reduces all tasks' channels."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.backbones.stages import averaged, copies, require_stages
from mtl_jax.nets.multitask.cross_stitch import own_and_others


class NDDR(nn.Module):
    """Neural discriminative dimensionality reduction, `x -> {task: [N, D]}`.

    Every task has its own copy of the trunk. After each stage, the last included,
    `x_t <- norm(W_t [x_1, ..., x_K])`: channels are put side by side, reduced to those of one
    task by a 1x1 convolution (a dense layer for vectors), and normalised. W_t starts as
    `same` times the task's own channels plus `(1 - same)/(K - 1)` times those of the others.
    With shortcuts (NDDR-CNN-Shortcut) a task goes on from `relu(V_t [x_t1, ..., x_tL] + b_t)`,
    x_tl being its output after stage l, brought to the pixels of the last (bilinear; the mean
    over pixels where the last is a vector); V_t is a 1x1 convolution to as many channels as
    the last has, drawn from Glorot's uniform distribution. What follows the last stage belongs
    to its task, all before is shared.

    Copies are drawn, not taken from trained single-task nets. The relu is that of the authors'
    code.

    Attributes:
      trunk: cut in stages, one copy for each task.
      same: how much of a task's next input is its own, before training.
      shortcut: whether features come from all stages, not from the last alone.
      tasks: names, filled by `compose`.

    Raises:
      BadInput: for a trunk without stages, or `same` outside [0, 1].

    Reference: Gao et al., NDDR-CNN, CVPR 2019, Section 3 (https://arxiv.org/abs/1801.08297).
    """

    trunk: nn.Module = MLP()
    same: float = 0.9
    shortcut: bool = False
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, same=(0.0, 1.0))
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves."""
        return self.trunk.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        each, seen = [x] * len(self.tasks), []
        stages = self.trunk.stages()
        for depth, stage in enumerate(stages):
            own = "task_" if depth == len(stages) - 1 else ""
            joined = jnp.concatenate(copies(self, stage, depth, self.tasks, each, train), -1)
            each = [self.reduced(joined, f"{own}nddr{depth}_{task}", at, train)
                    for at, task in enumerate(self.tasks)]  # fmt: skip
            seen.append(each)
        if self.shortcut:
            each = [self.gathered(f"task_shortcut_{task}", [layer[at] for layer in seen])
                    for at, task in enumerate(self.tasks)]  # fmt: skip
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, each, strict=True)}

    @nn.nowrap
    def reduced(self, joined: jax.Array, name: str, task: int, train: bool) -> jax.Array:
        """What one task (by its place) keeps of all channels `[N, ..., K C]`: `[N, ..., C]`."""
        weights = own_and_others(len(self.tasks), self.same)[task]

        def diagonals(key, shape, dtype):
            return jnp.kron(weights[:, None], jnp.eye(shape[1])).astype(dtype)

        width = joined.shape[-1] // len(self.tasks)
        x = nn.Dense(width, use_bias=False, kernel_init=diagonals, name=name)(joined)
        return BatchNorm(name=f"{name}_norm")(x, use_running_average=not train)

    @nn.nowrap
    def gathered(self, name: str, layers: Sequence[jax.Array]) -> jax.Array:
        """One task's outputs of all stages, reduced to the shape of the last `[N, ..., C]`."""
        last = layers[-1]
        joined = jnp.concatenate([resized(layer, last) for layer in layers], -1)
        init = nn.initializers.glorot_uniform()
        return nn.relu(nn.Dense(last.shape[-1], kernel_init=init, name=name)(joined))


def resized(x: jax.Array, like: jax.Array) -> jax.Array:
    """`[N, ..., C]` with the pixels of another array, and the channels that it has."""
    if like.ndim == 2:
        return averaged(x)
    shape = (*like.shape[:-1], x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)
