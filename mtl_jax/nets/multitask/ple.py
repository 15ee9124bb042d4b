"""PLE: levels of shared and own experts, one on the other."""

import flax.linen as nn
import jax

from mtl_jax.core.validation import require_count, require_widths
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.cgc import level
from mtl_jax.nets.multitask.experts import gate, mixed, require_trunk


class PLE(nn.Module):
    """Progressive layered extraction, `[N, ...] -> {task: [N, D]}`.

    Levels of `CGC`, one on the other. With `g_t0 = g_s0 = x`, level j has
    `g_tj = sum_e softmax(W_tj g_t,j-1)_e S_tje` over the experts of task t, which read
    g_t,j-1, and the shared ones, which read g_s,j-1; and
    `g_sj = sum_e softmax(W_sj g_s,j-1)_e S_je` over all experts of the level, those of every
    task too; the last level has no g_s. The features of task t are its g_t of the last level.

    Through g_s other tasks read a task's experts below the last level, and its gates below
    the last two; these are shared parameters, so that a task's own ones are read by it alone.
    LibMTL's PLE leaves g_s out, so its tasks' experts stay apart at every level.

    Attributes:
      expert: the trunk that every expert of the first level is a copy of.
      deeper: widths of the dense experts, `relu(x W + b)`, of the further levels; with
        none it is a `CGC`.
      shared: number of shared experts of a level.
      own: number of experts of each task of a level.
      tasks: names, filled by `compose`.

    Raises:
      BadInput: for an expert that is no plain trunk, or a number or a width below 1.

    Reference: Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, Section 4.2
      (https://doi.org/10.1145/3383313.3412236).
    """

    expert: nn.Module = MLP()
    deeper: tuple[int, ...] = (128,)
    shared: int = 2
    own: int = 2
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_count(self, shared=1, own=1)
        if self.deeper != ():
            require_widths(self, "deeper")
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the experts convolve, which decides how steps are dispatched."""
        return self.expert.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        inputs, common = dict.fromkeys(self.tasks, x), x
        levels = (self.expert, *(MLP((width,), parent=None) for width in self.deeper))
        for number, expert in enumerate(levels):
            above = len(self.deeper) - number
            features, outputs = level(self, expert, inputs, common, train, number, above)
            if above:
                common = mixed(gate(common, len(outputs), f"gate_{number}"), outputs)
            inputs = features
        return inputs
