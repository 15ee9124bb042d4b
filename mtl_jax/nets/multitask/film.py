"""FiLM: a scale and a shift of each task within a shared layer."""

import flax.linen as nn
import jax

from mtl_jax.core.validation import require_count
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import require_trunk


class FiLM(nn.Module):
    """Feature-wise linear modulation by task, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = relu((1 + s_t) * (h W + b) + o_t)`, h the features of a shared trunk, W and b a
    shared layer on them. s_t and o_t belong to task t and start at 0, so that tasks start
    alike. They act before a ReLU as in the paper: right under a linear head it could take
    them in, and they would be nothing. The paper makes scale and shift of a condition by a
    network; the condition here is the task, so they are parameters.

    Attributes:
      trunk: what all tasks share, before the modulated layer.
      features: width D of that layer.
      tasks: names, filled by `compose`.

    Raises:
      BadInput: for what is no plain trunk, or a width below 1.

    Reference: Perez et al., FiLM, AAAI 2018, Eq. 2 (https://arxiv.org/abs/1709.07871).
    """

    trunk: nn.Module = MLP()
    features: int = 256
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_count(self, features=1)
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        layer = nn.Dense(self.features, kernel_init=nn.initializers.he_normal(), name="layer")
        z = layer(self.trunk(x, train=train))
        return {
            task: nn.relu((1.0 + self.vector("scale", task)) * z + self.vector("shift", task))
            for task in self.tasks
        }

    def vector(self, what: str, task: str) -> jax.Array:
        """One of the task's own vectors, `[1, D]`."""
        name = f"task_{what}_{task}"
        return self.param(name, nn.initializers.zeros, (self.features,))[None]
