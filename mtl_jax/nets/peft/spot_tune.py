"""SpotTune: a policy that selects the frozen or the tuned block for every example and block."""

import functools
import math
import re

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import BadInput, require, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import bind, require_stages, sequential
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.multitask.gumbel import gumbel_softmax

COPIES = "tuned", "frozen"


class SpotTune(Trunk, nn.Module):
    """SpotTune, two copies of a trunk, `[N, ...] -> [N, D]`.

    `x <- I_l(x_0) tuned_l(x) + (1 - I_l(x_0)) frozen_l(x)` block by block, I_l 0 or 1 for each
    example. Blocks are the trunk's `blocks()`, its stages by default; x_0 is the
    input. The policy, a small trunk and a linear layer, predicts two logits per block, of frozen
    and tuned; in training one is sampled by Gumbel-max, with the gradient of the softmax at the
    temperature (straight through), else the larger one is selected. The linear layer is initialized
    to 0, i.e. equal probabilities. Time and memory are those of two trunks and the policy, since
    both blocks run.

    The frozen copy runs in evaluation mode, on running statistics. The run must freeze its
    parameters: `ParamRule("shared/frozen_.*", frozen=True)`. Both copies should be initialized from
    one trained trunk, see `params_from_source` and, in a run, `source_param_map`.

    The authors' code has one stem, which is trained, without a choice there; its norms use batch
    statistics in both copies; the policy is a small ResNet with its own learning rate and decay;
    and it also samples in evaluation.

    Attributes:
      trunk: a trunk with stages.
      policy: a plain trunk; for images a small convolutional one, such as `nets.CNN((16, 32))`.
      temperature: temperature of the Gumbel-softmax, above 0.

    Raises:
      BadInput: for a trunk without stages, a policy that is not a plain trunk, or a number outside
        its range.

    Reference: Guo et al., SpotTune: Transfer Learning through Adaptive Fine-tuning, CVPR 2019,
      Section 3 (https://arxiv.org/abs/1811.08737), and its code (github.com/gyhui14/spottune).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk = nets.SpotTune(nets.MLP((8,)), policy=nets.MLP((4,)))
      >>> x = jax.ShapeDtypeStruct((1, 4), "float32")
      >>> sorted(jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), x)["params"])
      ['frozen_block0', 'policy', 'policy_logits', 'tuned_block0']
    """

    trunk: nn.Module
    policy: nn.Module = MLP((64,))
    temperature: float = 5.0

    def __post_init__(self):
        require_stages(self)
        require_trunk(self, "policy")
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        super().__post_init__()

    @property
    def base_trunk(self) -> nn.Module:
        """The trunk of the source model."""
        return self.trunk

    inner_trunks = ("trunk", "policy")

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, D]`."""
        blocks = self.trunk.blocks()
        gates = self.gates(x, len(blocks), train)
        for depth, block in enumerate(blocks):
            tuned = bind(self, block, f"tuned_block{depth}")(x, train=train)
            frozen = bind(self, block, f"frozen_block{depth}")(x, train=False)
            gate = gates[:, depth].reshape(-1, *(1,) * (tuned.ndim - 1))
            x = gate * tuned + (1.0 - gate) * frozen
        return self.trunk.pool(x)

    @nn.nowrap
    def gates(self, x: jax.Array, count: int, train: bool) -> jax.Array:
        """Gates `[N, blocks]`: 1 where an example `[N]` uses the tuned copy of a block, else 0."""
        features = self.policy(x, train=train)
        layer = nn.Dense(2 * count, kernel_init=nn.initializers.zeros, name="policy_logits")
        logits = layer(features).reshape(-1, count, 2)
        return gumbel_softmax(self, logits, self.temperature, train)[..., 1]

    @nn.nowrap
    def params_from_source(self, source: Tree, x: jax.Array | jax.ShapeDtypeStruct) -> Tree:
        """Parameters of both copies, from one trained trunk.

        Args:
          source: the trunk's parameters, or its statistics, with the names of `trunk.init`.
          x: inputs `[N, ...]`, of which only the shape is used.

        Returns:
          The same leaves under `tuned_block{l}` and `frozen_block{l}`, to replace those of this
          module; its policy is not included.

        Raises:
          BadInput: if a leaf does not belong to any block.
        """
        paths = block_paths(self.trunk, x)
        leaves = flatten_dict(source)
        missing = sorted("/".join(path) for path in leaves if path[:-1] not in paths)
        if missing:
            raise BadInput(f"SpotTune: blocks of the trunk have no {', '.join(missing)}")
        return unflatten_dict({
            (f"{copy}_{block}", *inner, path[-1]): leaf
            for path, leaf in leaves.items()
            for block, *inner in [paths[path[:-1]]]
            for copy in COPIES
        })  # fmt: skip


def source_param_map(
    spot: SpotTune, x: jax.Array | jax.ShapeDtypeStruct
) -> tuple[tuple[str, str], ...]:
    r"""The `param_map` from a source model with the plain trunk to both copies.

    For `Initialization.param_map`, with `new_params=("shared/policy.*",)` and the rule
    `ParamRule("shared/frozen_.*", frozen=True)` in `param_rules`.

    Args:
      spot: the run's trunk.
      x: inputs `[N, ...]`, of which only the shape is used.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> x = jax.ShapeDtypeStruct((1, 4), "float32")
      >>> for pattern, path in nets.source_param_map(nets.SpotTune(nets.MLP((8,))), x):
      ...     print(pattern, path)
      shared/Dense_0/([^/]+) shared/tuned_block0/Dense_0/\1
      shared/Dense_0/([^/]+) shared/frozen_block0/Dense_0/\1
    """
    return tuple(
        (rf"shared/{re.escape('/'.join(path))}/([^/]+)", f"shared/{'/'.join(target)}/\\1")
        for path, (block, *inner) in block_paths(spot.trunk, x).items()
        for target in ((f"{copy}_{block}", *inner) for copy in COPIES)
    )


class Blocks(nn.Module):
    """The blocks of a trunk, applied sequentially.

    Attributes:
      trunk: a trunk with stages.
    """

    trunk: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs to the output of the last block."""
        return sequential(self, self.trunk.blocks(), x, train)


def block_paths(trunk: nn.Module, x: jax.Array | jax.ShapeDtypeStruct) -> dict[tuple, tuple]:
    """The path of each module of a trunk among its blocks, by path: `block{l}` and the path there.

    A trunk may name its modules freely, but calls them in the order of its blocks.
    """
    modules, block_modules = module_leaves(trunk, x), module_leaves(Blocks(trunk), x)
    if [leaves for _, leaves in modules] != [leaves for _, leaves in block_modules]:
        raise BadInput(f"SpotTune: the blocks of {type(trunk).__name__} are not the whole of it")
    pairs = zip(modules, block_modules, strict=True)
    return {
        path: (stage.replace("stage", "block"), *inner) for (path, _), ((stage, *inner), _) in pairs
    }


def module_leaves(module: nn.Module, x: jax.Array | jax.ShapeDtypeStruct) -> list[tuple]:
    """Paths of the modules with leaves, and these leaves, in the order of their calls."""
    calls = []

    def record(call, args, kwargs, context):
        if context.module.path not in calls:
            calls.append(context.module.path)
        return call(*args, **kwargs)

    init = functools.partial(module.init, train=False)
    with nn.intercept_methods(record):
        variables = jax.eval_shape(init, jax.random.key(0), x)
    leaves = {}
    for kind, tree in variables.items():
        for path, leaf in flatten_dict(tree).items():
            leaves.setdefault(path[:-1], set()).add((kind, path[-1], leaf.shape))
    return [(path, leaves[path]) for path in calls if path in leaves]
