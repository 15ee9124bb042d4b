"""FiLM: a task-specific scale and shift within a shared layer."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import require_array, require_trunk


class FiLM(MultitaskTrunk, nn.Module):
    """Feature-wise linear modulation by task, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = relu((1 + s_t) * (h W + b) + o_t)`, with h the features of a shared trunk, W and b a
    shared layer on top. s_t and o_t belong to task t and are initialized to 0, so that all tasks
    have the same initial features. They are applied before a ReLU as in the paper: directly before
    a linear head they would be redundant, since the head could absorb them. The paper predicts
    scale and shift from a condition with a network; here the condition is the task, so they are
    parameters.

    Attributes:
      trunk: the shared trunk, before the modulated layer.
      features: width D of that layer.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for anything but a plain trunk, or a width below 1.

    Reference: Perez et al., FiLM, AAAI 2018, Eq. 2 (https://arxiv.org/abs/1709.07871).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.FiLM(nets.MLP((8,)), features=16), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_scale_digit"].shape
      (16,)
    """

    trunk: nn.Module = MLP()
    features: int = 256
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_int(self, features=1)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        layer = nn.Dense(self.features, kernel_init=nn.initializers.he_normal(), name="layer")
        h = self.trunk(x, train=train)
        require_array(self, "trunk", h)
        z = layer(h)
        return {
            task: nn.relu(
                (1.0 + self.vector("scale", task, z.ndim)) * z + self.vector("shift", task, z.ndim)
            )
            for task in self.tasks
        }

    def vector(self, kind: str, task: str, ndim: int) -> jax.Array:
        """One of the task's own vectors, `[1, ..., D]`."""
        vector = self.param(f"task_{kind}_{task}", nn.initializers.zeros, (self.features,))
        return vector.reshape((1,) * (ndim - 1) + (-1,))
