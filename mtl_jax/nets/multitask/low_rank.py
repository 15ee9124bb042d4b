"""LowRank: a shared layer with a low-rank update for each task."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import require_array, require_trunk


class LowRank(MultitaskTrunk, nn.Module):
    """One layer with a low-rank update for each task, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = relu(h W_t + b)`, `W_t = W + A_t B_t`, with h `[N, P]` the features of a shared
    trunk. W and b are shared, A_t `[P, r]` and B_t `[r, D]` belong to task t. A_t is initialized
    at random and B_t to 0, so tasks have the same initial features and both matrices can learn.
    The ReLU keeps a linear head from absorbing the layer. LoRA adds such updates to frozen layers
    of a Transformer, scaled by `alpha / r`; here the factor is 1, and the layer is trained unless
    the run freezes it.

    Attributes:
      trunk: the shared trunk, before the layer.
      features: width D of the layer.
      rank: r.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for anything but a plain trunk, or a number below 1.

    Reference: Hu et al., LoRA, ICLR 2022, Section 4.1 (https://arxiv.org/abs/2106.09685).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.LowRank(nets.MLP((8,)), features=16, rank=2), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> [params["tasks"]["own"][f"task_{factor}_digit"].shape for factor in "ab"]
      [(8, 2), (2, 16)]
    """

    trunk: nn.Module = MLP()
    features: int = 256
    rank: int = 4
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_int(self, features=1, rank=1)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        h = self.trunk(x, train=train)
        require_array(self, "trunk", h)
        layer = nn.Dense(self.features, kernel_init=nn.initializers.he_normal(), name="layer")
        z = layer(h)
        return {task: nn.relu(z + self.low_rank_update(h, task)) for task in self.tasks}

    def low_rank_update(self, h: jax.Array, task: str) -> jax.Array:
        """`h A_t B_t` `[N, D]` of one task."""
        a = self.param(f"task_a_{task}", nn.initializers.lecun_normal(), (h.shape[-1], self.rank))
        b = self.param(f"task_b_{task}", nn.initializers.zeros, (self.rank, self.features))
        return h @ a @ b
