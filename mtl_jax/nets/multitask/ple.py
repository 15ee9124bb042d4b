"""PLE: stacked levels of shared and task-specific experts."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int, require_widths
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.cgc import level
from mtl_jax.nets.multitask.experts import gate, mixture, require_array, require_trunk


class PLE(MultitaskTrunk, nn.Module):
    """Progressive layered extraction, `[N, ...] -> {task: [N, D]}`.

    Stacked levels of `CGC`. With `g_t0 = g_s0 = x`, level j has
    `g_tj = sum_e softmax(W_tj g_t,j-1)_e S_tje` over the experts of task t, which read
    g_t,j-1, and the shared ones, which read g_s,j-1; and
    `g_sj = sum_e softmax(W_sj g_s,j-1)_e S_je` over all experts of the level, including those of
    every task; the last level has no g_s. The features of task t are its g_t of the last level.

    Through g_s other tasks read a task's experts below the last level, and its gates below
    the last two; these are shared parameters, so that a task's own parameters are only read by it.
    LibMTL's PLE omits g_s, so its tasks' experts remain separate at every level.

    Attributes:
      expert: the trunk that every expert of the first level is a copy of.
      deeper_expert: widths of the dense experts, `relu(x W + b)`, of the further levels; if empty
        it is a `CGC`. For maps, they are 1x1 convolutions.
      shared: number of shared experts per level.
      task_specific: number of experts of each task per level.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for an expert that is not a plain trunk, or a number or a width below 1.

    Reference: Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, Section 4.2
      (https://doi.org/10.1145/3383313.3412236).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.PLE(nets.MLP((8,)), deeper_expert=(6,), shared=1, task_specific=1), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> sorted(params["tasks"]["own"])[:2]  # Of the last level.
      ['task_expert_1_color_0', 'task_expert_1_digit_0']
    """

    expert: nn.Module = MLP()
    deeper_expert: tuple[int, ...] = (128,)
    shared: int = 2
    task_specific: int = 2
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_int(self, shared=1, task_specific=1)
        if self.deeper_expert != ():
            require_widths(self, "deeper_expert")
        super().__post_init__()

    inner_trunks = ("expert",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        inputs, shared_input = dict.fromkeys(self.tasks, x), x
        levels = (self.expert, *(DenseExpert(width, parent=None) for width in self.deeper_expert))
        for number, expert in enumerate(levels):
            above = len(self.deeper_expert) - number
            features, outputs = level(self, expert, inputs, shared_input, train, number, above)
            if above:
                require_array(self, "expert", outputs[0])
                shared_input = mixture(gate(shared_input, len(outputs), f"gate_{number}"), outputs)
            inputs = features
        return inputs


class DenseExpert(nn.Module):
    """An expert `relu(x W + b)`, `[N, ..., C] -> [N, ..., D]`.

    Attributes:
      width: D.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps features to features of another width."""
        return nn.relu(nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x))
