"""AdaShare: one trunk, with a block-skipping policy for each task."""

import dataclasses
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import MultitaskTrunk, ResidualBlock
from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import bind, require_stages
from mtl_jax.nets.multitask.gumbel import gumbel_sigmoid, step_counter

MIN_TEMPERATURE = 0.1


class AdaShare(MultitaskTrunk, nn.Module):
    """AdaShare, `x -> {task: [N, D]}`.

    Task t runs the blocks of one shared trunk as `x <- v_tl block_l(x) + (1 - v_tl) skip(x)`,
    with v_tl in (0, 1) sampled by Gumbel-softmax in training, and `1[p_tl > 1/2]` otherwise.
    Blocks are the trunk's `blocks()`, its stages by default; the skip is that of a
    residual block, else the identity; a block that changes the shape and has no skip always runs.
    The temperature is `temperature * decay^(t / period)`, at least 0.1, at step t after the
    warm-up. During the warm-up all blocks run; then the policies are activated one by one, that
    of the last block first, every `curriculum` steps. Policies belong to the tasks and the trunk
    is shared; its norms process the tasks sequentially.

    The paper alternates between learning weights and policies, then samples policies and
    retrains; here both are learned jointly, without retraining.

    Attributes:
      trunk: a trunk with stages, at least one of which can be skipped.
      init_keep_prob: initial probability p of running each block.
      temperature: temperature at the first step after the warm-up.
      decay: decay factor of the temperature.
      period: number of steps per decay.
      warm_up: number of steps in which all blocks run.
      curriculum: number of steps between the activation of two policies.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages, or a number outside its range; when called, if no
        block can be skipped.

    Reference: Sun et al., AdaShare, NeurIPS 2020, Section 3 (https://arxiv.org/abs/1911.12423).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.AdaShare(nets.MLP((8, 8, 8))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> sorted(params["tasks"]["own"])  # The first layer changes the width and always runs.
      ['task_policy1', 'task_policy2']
    """

    trunk: nn.Module = MLP()
    init_keep_prob: float = 0.9
    temperature: float = 5.0
    decay: float = 0.965
    period: int = 100
    warm_up: int = 100
    curriculum: int = 100
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(
            self, init_keep_prob=(1e-3, 1 - 1e-3), temperature=(MIN_TEMPERATURE, math.inf)
        )
        require_number(self, decay=(0.0, 1.0))
        require_int(self, period=1, warm_up=0, curriculum=0)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        step = step_counter(self, train) - self.warm_up
        blocks = self.trunk.blocks()
        features = [x] * len(self.tasks)
        for depth, block in enumerate(blocks):
            start_step = self.curriculum * (len(blocks) - 1 - depth)
            features = self.apply_block(
                bind(self, block, f"block{depth}"), features, depth, step, start_step, train
            )
        gated = any(name.startswith("task_policy") for name in self.variables["params"])
        rule = "must have a stage that can be skipped, one that keeps the shape"
        require(gated, self, "trunk", rule, type(self.trunk).__name__)
        return {task: self.trunk.pool(x) for task, x in zip(self.tasks, features, strict=True)}

    @nn.nowrap
    def apply_block(
        self,
        block: nn.Module,
        features: list[jax.Array],
        depth: int,
        step: jax.Array,
        start_step: int,
        train: bool,
    ) -> list[jax.Array]:
        """Runs or skips one block for every task, `[N, ...]` each."""
        if isinstance(block, ResidualBlock):
            gates = self.gates(depth, step, start_step, train)
            return [block(x, train=train, keep=g) for x, g in zip(features, gates, strict=True)]
        # Before the first block, all tasks have the same input.
        outputs = (
            [block(x, train=train) for x in features]
            if depth
            else [block(features[0], train=train)] * len(features)
        )
        if outputs[0].shape != features[0].shape:
            return outputs
        gates = self.gates(depth, step, start_step, train)
        triples = zip(gates, outputs, features, strict=True)
        return [gate * new + (1.0 - gate) * old for gate, new, old in triples]

    @nn.nowrap
    def gates(self, depth: int, step: jax.Array, start_step: int, train: bool) -> jax.Array:
        """Gate of a block for each task `[K]`; 1 before `start_step`."""
        init = nn.initializers.constant(math.log(self.init_keep_prob / (1.0 - self.init_keep_prob)))
        logits = self.param(f"task_policy{depth}", init, (len(self.tasks),))
        temperature = self.temperature * self.decay ** (jnp.maximum(step, 0.0) / self.period)
        gates = gumbel_sigmoid(self, logits, jnp.maximum(temperature, MIN_TEMPERATURE), train)
        return jnp.where(step < start_step, 1.0, gates) if train else gates


@dataclasses.dataclass(frozen=True)
class PolicyCost:
    """Penalties on the policies of an `AdaShare`, as a function of the probabilities p of running.

    `sparsity * sum_tl log p_tl + sharing * sum_{t < u} sum_l (L - l)/L |p_tl - p_ul|`, where l
    counts the L skippable blocks from 0: the first blocks have the largest weights. The first
    term is unbounded below, but its gradient with respect to a logit, `1 - p`, is bounded.

    Attributes:
      sparsity: weight of the term that makes tasks skip blocks.
      sharing: weight of the term that makes tasks run the same blocks.

    Raises:
      BadInput: for a negative weight; when called, if there are no policies.

    Reference: Sun et al., AdaShare, NeurIPS 2020, Section 3 (https://arxiv.org/abs/1911.12423).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets
      >>> params = {"tasks": {"own": {"task_policy0": jnp.zeros(2)}}}  # Two tasks, p = 1/2.
      >>> round(float(nets.PolicyCost(sparsity=1.0, sharing=1.0)(params, anchor=None)), 3)
      -1.386
    """

    sparsity: float
    sharing: float

    def __post_init__(self):
        require_number(self, sparsity=(0.0, math.inf), sharing=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is unused."""
        task_params = params["tasks"].get("own", {})
        names = [name for name in task_params if name.startswith("task_policy")]
        if not names:
            raise BadInput("PolicyCost needs policies: trunk=nets.AdaShare(...)")
        names.sort(key=lambda name: int(name.removeprefix("task_policy")))
        logits = jnp.stack([task_params[name] for name in names])
        probs = jax.nn.sigmoid(logits)
        count, tasks = probs.shape
        weights = jnp.linspace(1.0, 1.0 / count, count)
        distance = sum(
            (weights * jnp.abs(probs[:, t] - probs[:, u])).sum()
            for t, u in itertools.combinations(range(tasks), 2)
        )
        return self.sparsity * jax.nn.log_sigmoid(logits).sum() + self.sharing * distance
