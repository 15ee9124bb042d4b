"""Cross-stitch: one trunk per task, with a learned mixture of their features after each stage."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import apply_per_task, require_stages


class CrossStitch(MultitaskTrunk, nn.Module):
    """Cross-stitch networks, `x -> {task: [N, D]}`.

    Every task has its own copy of the trunk. After each stage, including the last,
    `x_t <- sum_u A[t, u] x_u`; A is initialized with `same` on its diagonal and
    `(1 - same)/(K - 1)` elsewhere, so that rows sum to 1. All parameters are shared: the loss of a
    task has gradients with respect to the copies of all others.

    The paper initializes the copies from trained single-task networks; here they are initialized
    at random. It also trains A at 100 to 1000 times the learning rate of the other parameters;
    here the rate is the same.

    Attributes:
      trunk: a trunk with stages, copied for each task.
      same: initial weight of a task's own features.
      per_channel: whether each channel has its own matrix A.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages, or `same` outside [0, 1].

    Reference: Misra et al., Cross-stitch Networks for Multi-task Learning, CVPR 2016, Eq. 1
      (https://arxiv.org/abs/1604.03539).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.CrossStitch(nets.MLP((8,)), per_channel=True), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["shared"]["stitch0"].shape
      (2, 2, 8)
    """

    trunk: nn.Module = MLP()
    same: float = 0.9
    per_channel: bool = False
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, same=(0.0, 1.0))
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        features = [x] * len(self.tasks)
        for depth, stage in enumerate(self.trunk.stages()):
            features = jnp.stack(apply_per_task(self, stage, depth, self.tasks, features, train))
            width = features.shape[-1] if self.per_channel else 1
            units = self.param(f"stitch{depth}", self.init_units, width)
            features = jnp.einsum(
                "tuc,u...c->t...c" if self.per_channel else "tuc,u...->t...", units, features
            )
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, features, strict=True)}

    @nn.nowrap
    def init_units(self, key: jax.Array, width: int) -> jax.Array:
        """Initial matrices `[K, K, width]`; deterministic."""
        units = mixing_weights(len(self.tasks), self.same)
        return jnp.repeat(units[:, :, None], width, 2)


def mixing_weights(count: int, same: float) -> jax.Array:
    """A matrix `[count, count]` with rows that sum to 1 and `same` on its diagonal."""
    off_diagonal = (1.0 - same) / (count - 1) if count > 1 else 0.0
    diagonal = same if count > 1 else 1.0
    return jnp.where(jnp.eye(count, dtype=bool), diagonal, off_diagonal)
