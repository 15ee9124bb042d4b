"""Adapters: a small residual block for each task on the features of a shared trunk."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import require_array, require_trunk


class Adapters(MultitaskTrunk, nn.Module):
    """Task-specific residual bottlenecks on a shared trunk, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = h + relu(h D_t + a_t) U_t + b_t`, with h the trunk's features `[N, D]`. U_t, a_t and
    b_t are initialized to 0 and D_t at random, so initially f_t = h for every task and U_t can
    still learn. The trunk is shared, the other parameters belong to the tasks. The paper has such
    blocks inside every layer of a frozen Transformer; here there is one after the last layer of
    any trunk, which is trained too unless the run freezes `shared/.*`.

    Attributes:
      trunk: the shared trunk.
      width: width of the bottleneck.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for anything but a plain trunk, or a width below 1.

    Reference: Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019,
      Section 2.1 (https://arxiv.org/abs/1902.00751).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.Adapters(nets.MLP((8,)), width=2), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_down_digit"]["kernel"].shape
      (8, 2)
    """

    trunk: nn.Module = MLP()
    width: int = 32
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_int(self, width=1)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        h = self.trunk(x, train=train)
        require_array(self, "trunk", h)
        return {task: h + bottleneck(h, self.width, task) for task in self.tasks}


def bottleneck(h: jax.Array, width: int, task: str) -> jax.Array:
    """The residual of one task for features `[N, D]`."""
    down = nn.Dense(width, kernel_init=nn.initializers.he_normal(), name=f"task_down_{task}")
    up = nn.Dense(h.shape[-1], kernel_init=nn.initializers.zeros, name=f"task_up_{task}")
    return up(nn.relu(down(h)))
