"""Learning to branch: nodes of a tree that choose which node they follow."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_count, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import copies, require_stages
from mtl_jax.nets.multitask.gumbel import chosen, steps_before


class LTB(nn.Module):
    """Learning to branch, `x -> {task: [N, D]}`.

    Every stage has K nodes, copies of that of the trunk. Node j of a stage reads
    `sum_i d_ji y_i` of the nodes i of the stage before, with d_j one-hot: in training a draw
    by the node's logits, with the gradient of its Gumbel-softmax, else the likeliest node.
    Each task so chooses a node of the last stage. The temperature is
    `temperature / sqrt(1 + t / period)` at step t after the warm-up. In the warm-up `d = 1/K`.
    All logits start at 0; a task's last choice belongs to it, all else is shared.

    LibMTL draws in evaluation too, sums over all parents in its warm-up, and gives each task
    one node of the last stage. The paper builds and retrains the tree that was found; here
    training goes on as it is.

    Attributes:
      trunk: cut in stages.
      temperature: at the first step after the warm-up.
      period: steps that its decay counts as one.
      warm_up: steps without choices.
      tasks: names, filled by `compose`.

    Raises:
      BadInput: for a trunk without stages, or a number outside its range.

    Reference: Guo et al., Learning to Branch for Multi-Task Learning, ICML 2020, Section 3
      (https://arxiv.org/abs/2006.01895).
    """

    trunk: nn.Module = MLP()
    temperature: float = 10.0
    period: int = 100
    warm_up: int = 100
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, temperature=(1e-3, math.inf))
        require_count(self, period=1, warm_up=0)
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves."""
        return self.trunk.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        now = steps_before(self, train) - self.warm_up
        nodes = [str(node) for node in range(len(self.tasks))]
        each = [x] * len(nodes)
        for depth, stage in enumerate(self.trunk.stages()):
            if depth:
                each = self.branched(f"branch{depth}", each, now, train)
            each = copies(self, stage, depth, nodes, each, train)
        each = self.branched("task_branch", each, now, train)
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, each, strict=True)}

    @nn.nowrap
    def branched(self, name: str, each: list[jax.Array], now: jax.Array, train: bool) -> jax.Array:
        """What K children read `[K, N, ...]`, of K parents `[N, ...]`."""
        count = len(each)
        logits = self.param(name, nn.initializers.zeros_init(), (count, count))
        decay = jnp.sqrt(1.0 + jnp.maximum(now, 0.0) / self.period)
        choice = chosen(self, logits, self.temperature / decay, train)
        if train:
            choice = jnp.where(now < 0, 1.0 / count, choice)
        return jnp.tensordot(choice, jnp.stack(each), 1)
