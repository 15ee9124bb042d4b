"""Learning to branch: nodes of a tree that learn which parent to read."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import apply_per_task, require_stages
from mtl_jax.nets.multitask.gumbel import gumbel_softmax, step_counter


class LTB(MultitaskTrunk, nn.Module):
    """Learning to branch, `x -> {task: [N, D]}`.

    Every stage has K nodes, copies of the trunk's stage. Node j of a stage reads
    `sum_i d_ji y_i` of the nodes i of the previous stage, with d_j one-hot: in training a sample
    from the node's logits, with the gradient of its Gumbel-softmax, else the most likely node.
    Each task selects a node of the last stage in the same way. The temperature is
    `temperature / sqrt(1 + t / period)` at step t after the warm-up. During the warm-up
    `d = 1/K`. All logits are initialized to 0; the logits of a task's last choice belong to the
    task, all other parameters are shared.

    LibMTL also samples in evaluation, sums over all parents in its warm-up, and gives each task
    one node of the last stage. The paper builds and retrains the resulting tree; here training
    continues without retraining.

    Attributes:
      trunk: a trunk with stages.
      temperature: temperature at the first step after the warm-up.
      period: time scale of the temperature decay, in steps.
      warm_up: number of steps without choices.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages, or a number outside its range.

    Reference: Guo et al., Learning to Branch for Multi-Task Learning, ICML 2020, Section 3
      (https://arxiv.org/abs/2006.01895).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.LTB(nets.MLP((8, 8))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["shared"]["branch1"].shape, params["tasks"]["own"]["task_branch"].shape
      ((2, 2), (2, 2))
    """

    trunk: nn.Module = MLP()
    temperature: float = 10.0
    period: int = 100
    warm_up: int = 100
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, temperature=(1e-3, math.inf))
        require_int(self, period=1, warm_up=0)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        step = step_counter(self, train) - self.warm_up
        nodes = [str(node) for node in range(len(self.tasks))]
        features = [x] * len(nodes)
        for depth, stage in enumerate(self.trunk.stages()):
            if depth:
                features = self.branch(f"branch{depth}", features, step, train)
            features = apply_per_task(self, stage, depth, nodes, features, train)
        features = self.branch("task_branch", features, step, train)
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, features, strict=True)}

    @nn.nowrap
    def branch(
        self, name: str, features: list[jax.Array], step: jax.Array, train: bool
    ) -> jax.Array:
        """Inputs of K children `[K, N, ...]`, from K parents `[N, ...]`."""
        count = len(features)
        logits = self.param(name, nn.initializers.zeros_init(), (count, count))
        decay = jnp.sqrt(1.0 + jnp.maximum(step, 0.0) / self.period)
        choice = gumbel_softmax(self, logits, self.temperature / decay, train)
        if train:
            choice = jnp.where(step < 0, 1.0 / count, choice)
        return jnp.tensordot(choice, jnp.stack(features), 1)
