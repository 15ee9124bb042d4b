"""SpotTune: for every example and block, a policy that chooses the source's block or its own."""

import functools
import math
import re

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import BadInput, require, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import hung, in_order, require_stages
from mtl_jax.nets.multitask.adashare import blocks_of
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.multitask.gumbel import chosen

COPIES = "tuned", "frozen"


class SpotTune(nn.Module):
    """SpotTune, a trunk twice, `[N, ...] -> [N, D]`.

    `x <- I_l(x_0) tuned_l(x) + (1 - I_l(x_0)) frozen_l(x)` block by block, I_l 0 or 1 for each
    example. Blocks are the trunk's `blocks()` if it offers them, else its stages; x_0 is the
    input. The policy, a small trunk and a linear layer, gives two logits a block, of frozen and
    tuned; in training one is drawn by Gumbel-max, with the gradient of the softmax at the
    temperature (straight through), else the larger one is taken. The linear layer starts at 0: even
    chances for all. Time and memory are those of two trunks and the policy, since both blocks run.

    The frozen copy runs as without training, on running statistics. That its parameters are not
    trained is for the run to say: `Rule("shared/frozen_.*", frozen=True)`. Both copies should
    start from one trained trunk, see `of_source` and, in a run, `rows_of`.

    The authors' code has one stem, which is trained, and no choice there; its norms go by the batch
    in both copies; the policy is a small ResNet with a learning rate and decay of its own; and it
    draws in evaluation too.

    Attributes:
      trunk: cut in stages.
      policy: a plain trunk; for images a small convolutional one, as `nets.CNN((16, 32))`.
      temperature: above 0.

    Raises:
      BadInput: for a trunk without stages, a policy that is no plain trunk, or a number outside its
        range.

    Reference: Guo et al., SpotTune: Transfer Learning through Adaptive Fine-tuning, CVPR 2019,
      Section 3 (https://arxiv.org/abs/1811.08737), and its code (github.com/gyhui14/spottune).
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
    def around(self) -> nn.Module:
        """The trunk that a source has."""
        return self.trunk

    @property
    def convolutional(self) -> bool:
        """Whether the trunk or the policy convolves."""
        return self.trunk.convolutional or self.policy.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, D]`."""
        blocks = blocks_of(self.trunk)
        gates = self.gates(x, len(blocks), train)
        for depth, block in enumerate(blocks):
            tuned = hung(self, block, f"tuned_block{depth}")(x, train=train)
            frozen = hung(self, block, f"frozen_block{depth}")(x, train=False)
            gate = gates[:, depth].reshape(-1, *(1,) * (tuned.ndim - 1))
            x = gate * tuned + (1.0 - gate) * frozen
        return self.trunk.pool(x)

    @nn.nowrap
    def gates(self, x: jax.Array, count: int, train: bool) -> jax.Array:
        """Which examples `[N]` take the tuned copy of which block, 0 or 1 `[N, blocks]`."""
        seen = self.policy(x, train=train)
        layer = nn.Dense(2 * count, kernel_init=nn.initializers.zeros, name="policy_logits")
        logits = layer(seen).reshape(-1, count, 2)
        return chosen(self, logits, self.temperature, train)[..., 1]

    @nn.nowrap
    def of_source(self, source: Tree, x: jax.Array | jax.ShapeDtypeStruct) -> Tree:
        """Both copies, made of one trained trunk.

        Args:
          source: the trunk's parameters, or its statistics, as `trunk.init` names them.
          x: inputs `[N, ...]`, of which only the shape counts.

        Returns:
          The same leaves under `tuned_block{l}` and `frozen_block{l}`, to take the place of those
          of this module; its policy is not among them.

        Raises:
          BadInput: if a leaf has no place in the blocks.
        """
        places = placed(self.trunk, x)
        leaves = flatten_dict(source)
        lost = sorted("/".join(path) for path in leaves if path[:-1] not in places)
        if lost:
            raise BadInput(f"SpotTune: blocks of the trunk have no {', '.join(lost)}")
        return unflatten_dict({
            (f"{copy}_{block}", *inner, path[-1]): leaf
            for path, leaf in leaves.items()
            for block, *inner in [places[path[:-1]]]
            for copy in COPIES
        })  # fmt: skip


def rows_of(spot: SpotTune, x: jax.Array | jax.ShapeDtypeStruct) -> tuple[tuple[str, str], ...]:
    """What a run takes of a source that has the plain trunk: both copies.

    For `Run.take`, with `fresh=("shared/policy.*",)` and the rule
    `Rule("shared/frozen_.*", frozen=True)` in the plan.

    Args:
      spot: the run's trunk.
      x: inputs `[N, ...]`, of which only the shape counts.
    """
    return tuple(
        (rf"shared/{re.escape('/'.join(path))}/([^/]+)", f"shared/{'/'.join(there)}/\\1")
        for path, (block, *inner) in placed(spot.trunk, x).items()
        for there in ((f"{copy}_{block}", *inner) for copy in COPIES)
    )


class Blocks(nn.Module):
    """The blocks of a trunk one after the other.

    Attributes:
      trunk: cut in stages.
    """

    trunk: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs to what the last block gives."""
        return in_order(self, blocks_of(self.trunk), x, train)


def placed(trunk: nn.Module, x: jax.Array | jax.ShapeDtypeStruct) -> dict[tuple, tuple]:
    """Where each module of a trunk, by path, lies among its blocks: `block{l}` and the path there.

    A trunk names its modules as it likes, but calls them in the order of its blocks.
    """
    whole, parted = owners(trunk, x), owners(Blocks(trunk), x)
    if [size for _, size in whole] != [size for _, size in parted]:
        raise BadInput(f"SpotTune: the blocks of {type(trunk).__name__} are not the whole of it")
    pairs = zip(whole, parted, strict=True)
    return {
        path: (stage.replace("stage", "block"), *inner) for (path, _), ((stage, *inner), _) in pairs
    }


def owners(module: nn.Module, x: jax.Array | jax.ShapeDtypeStruct) -> list[tuple]:
    """Paths of the modules that have leaves, and what these are, in the order of their calls."""
    calls = []

    def note(call, args, kwargs, context):
        if context.module.path not in calls:
            calls.append(context.module.path)
        return call(*args, **kwargs)

    draw = functools.partial(module.init, train=False)
    with nn.intercept_methods(note):
        variables = jax.eval_shape(draw, jax.random.key(0), x)
    held = {}
    for kind, tree in variables.items():
        for path, leaf in flatten_dict(tree).items():
            held.setdefault(path[:-1], set()).add((kind, path[-1], leaf.shape))
    return [(path, held[path]) for path in calls if path in held]
