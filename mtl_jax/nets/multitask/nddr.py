"""NDDR: one trunk per task, with a reduction of all tasks' channels after each stage."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.backbones.stages import apply_per_task, global_average_pool, require_stages
from mtl_jax.nets.multitask.cross_stitch import mixing_weights


class NDDR(MultitaskTrunk, nn.Module):
    """Neural discriminative dimensionality reduction, `x -> {task: [N, D]}`.

    Every task has its own copy of the trunk. After each stage, including the last,
    `x_t <- norm(W_t [x_1, ..., x_K])`: channels are concatenated, reduced to those of one
    task by a 1x1 convolution (a dense layer for vectors), and normalized. W_t is initialized to
    `same` times the task's own channels plus `(1 - same)/(K - 1)` times those of the others.
    With shortcuts (NDDR-CNN-Shortcut) a task's features are `relu(V_t [x_t1, ..., x_tL] + b_t)`,
    with x_tl its output after stage l, resized to the resolution of the last (bilinear; the mean
    over pixels if the last is a vector); V_t is a 1x1 convolution to the number of channels of
    the last, initialized from Glorot's uniform distribution. Parameters after the last stage
    belong to the task, all before are shared.

    Copies are initialized at random, not from trained single-task networks. The relu is that of
    the authors' code.

    Attributes:
      trunk: a trunk with stages, copied for each task.
      same: initial weight of a task's own features.
      shortcut: whether features come from all stages instead of the last one only.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages, or `same` outside [0, 1].

    Reference: Gao et al., NDDR-CNN, CVPR 2019, Section 3 (https://arxiv.org/abs/1801.08297).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.NDDR(nets.MLP((8,))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_nddr0_digit"]["kernel"].shape
      (16, 8)
    """

    trunk: nn.Module = MLP()
    same: float = 0.9
    shortcut: bool = False
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, same=(0.0, 1.0))
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        features, layers = [x] * len(self.tasks), []
        stages = self.trunk.stages()
        for depth, stage in enumerate(stages):
            prefix = "task_" if depth == len(stages) - 1 else ""
            concatenated = jnp.concatenate(
                apply_per_task(self, stage, depth, self.tasks, features, train), -1
            )
            features = [self.reduce_channels(concatenated, f"{prefix}nddr{depth}_{task}", index, train)
                    for index, task in enumerate(self.tasks)]  # fmt: skip
            layers.append(features)
        if self.shortcut:
            features = [self.combine_stages(f"task_shortcut_{task}", [layer[index] for layer in layers])
                    for index, task in enumerate(self.tasks)]  # fmt: skip
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, features, strict=True)}

    @nn.nowrap
    def reduce_channels(
        self, concatenated: jax.Array, name: str, task: int, train: bool
    ) -> jax.Array:
        """Reduction of all channels `[N, ..., K C]` for one task (by index): `[N, ..., C]`."""
        weights = mixing_weights(len(self.tasks), self.same)[task]

        def init(key, shape, dtype):
            return jnp.kron(weights[:, None], jnp.eye(shape[1])).astype(dtype)

        width = concatenated.shape[-1] // len(self.tasks)
        x = nn.Dense(width, use_bias=False, kernel_init=init, name=name)(concatenated)
        return BatchNorm(name=f"{name}_norm")(x, use_running_average=not train)

    @nn.nowrap
    def combine_stages(self, name: str, layers: Sequence[jax.Array]) -> jax.Array:
        """One task's outputs of all stages, reduced to the shape of the last `[N, ..., C]`."""
        last = layers[-1]
        concatenated = jnp.concatenate([resize_to(layer, last) for layer in layers], -1)
        init = nn.initializers.glorot_uniform()
        return nn.relu(nn.Dense(last.shape[-1], kernel_init=init, name=name)(concatenated))


def resize_to(x: jax.Array, like: jax.Array) -> jax.Array:
    """`[N, ..., C]` resized to the resolution of another array, with its own channels."""
    if like.ndim == 2:
        return global_average_pool(x)
    shape = (*like.shape[:-1], x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)
