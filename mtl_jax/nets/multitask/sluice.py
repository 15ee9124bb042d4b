"""Sluice networks: cross-stitch between subspaces, and features mixed across layers."""

import dataclasses
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, path_str
from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import copies, global_average_pool, require_stages
from mtl_jax.nets.multitask.cross_stitch import own_and_others


class Sluice(MultitaskTrunk, nn.Module):
    """Sluice networks, `x -> {task: [N, D]}`.

    Every task has its own copy of the trunk; the channels of each stage's output are split into
    P subspaces. After each stage, `x_tp <- sum_uq A[tp, uq] x_uq` over all `K P` subspaces.
    Features are `sum_l b[t, l] h_tl`, over the stages l, of outputs averaged over pixels. A
    is initialized as in `CrossStitch`; b to `last` for the last stage, and the remainder equally
    for the others. b belongs to the tasks, all other parameters are shared.

    In the paper all layers have one width; here, stages of another width than D enter the
    mixture through a linear map of their task, without bias. The initial values are our choice.

    Attributes:
      trunk: a trunk with stages of divisible widths, copied for each task.
      same: initial weight of a subspace's own features.
      last: initial weight of the last stage in the features.
      subspaces: P.
      tasks: names, set by `compose`.

    Raises:
      BadInput: for a trunk without stages, or a value outside its range; when called, for a
        stage whose channels are not divisible by P.

    Reference: Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, Section 3
      (https://arxiv.org/abs/1705.08142).
    """

    trunk: nn.Module = MLP()
    same: float = 0.9
    last: float = 0.9
    subspaces: int = 2
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        require_number(self, same=(0.0, 1.0), last=(0.0, 1.0))
        require_int(self, subspaces=1)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        each, layers = [x] * len(self.tasks), []
        for depth, stage in enumerate(self.trunk.stages()):
            each = jnp.stack(copies(self, stage, depth, self.tasks, each, train))
            size = len(self.tasks) * self.subspaces
            units = self.param(f"sluice{depth}", lambda _, n=size: own_and_others(n, self.same))
            each = self.stitched(units, each)
            layers.append([global_average_pool(one) for one in each])
        layers[-1] = [self.trunk.pool(one) for one in each]
        share = self.param("task_layers", self.start, len(layers))
        return {task: self.mixed(task, share[at], [layer[at] for layer in layers])
                for at, task in enumerate(self.tasks)}  # fmt: skip

    @nn.nowrap
    def stitched(self, units: jax.Array, each: jax.Array) -> jax.Array:
        """Outputs `[K, N, ..., C]` with their subspaces mixed by `[K P, K P]`."""
        parts, width = self.subspaces, each.shape[-1]
        rule = "must divide the channels of every stage"
        require(width % parts == 0, self, "subspaces", rule, parts)
        cut = jnp.stack(jnp.split(each, parts, axis=-1), 1)
        flat = cut.reshape(-1, *cut.shape[2:])
        cut = jnp.tensordot(units, flat, 1).reshape(cut.shape)
        return jnp.concatenate([cut[:, part] for part in range(parts)], -1)

    @nn.nowrap
    def start(self, key: jax.Array, depth: int) -> jax.Array:
        """Initial layer weights `[K, L]`; deterministic."""
        return jnp.tile(own_and_others(depth, self.last)[-1:], (len(self.tasks), 1))

    @nn.nowrap
    def mixed(self, task: str, share: jax.Array, layers: list[jax.Array]) -> jax.Array:
        """Features `[N, D]` of one task, from its layers `[N, D_l]` and their weights `[L]`."""
        width = layers[-1].shape[-1]
        reached = [
            layer if layer.shape[-1] == width
            else nn.Dense(width, use_bias=False, name=f"task_reach{depth}_{task}")(layer)
            for depth, layer in enumerate(layers)
        ]  # fmt: skip
        return jnp.tensordot(share, jnp.stack(reached), 1)


@dataclasses.dataclass(frozen=True)
class Orthogonality:
    """Penalty on the overlap between the subspaces of a `Sluice`.

    `weight * sum_W sum_{p < q} ||W_p^T W_q||_F^2` over the kernels W `[D, C]` of all copies,
    whose columns are split into P blocks W_p like the channels.

    Attributes:
      weight: weight of the sum.
      subspaces: P, as in the model.

    Raises:
      BadInput: for a value outside its range; when called, if there are no copies of stages.

    Reference: Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, Section 3
      (https://arxiv.org/abs/1705.08142).
    """

    weight: float
    subspaces: int = 2

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))
        require_int(self, subspaces=2)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is unused."""
        leaves = jax.tree_util.tree_leaves_with_path(params["shared"])
        named = [(path_str(path), leaf) for path, leaf in leaves]
        kernels = [k for p, k in named if p.startswith("stage") and p.endswith("kernel")]
        if not kernels:
            raise BadInput("Orthogonality needs subspaces: trunk=nets.Sluice(...)")
        return self.weight * sum(overlap(kernel, self.subspaces) for kernel in kernels)


def overlap(kernel: jax.Array, subspaces: int) -> jax.Array:
    """`sum_{p < q} ||W_p^T W_q||_F^2` of a kernel `[..., C]`."""
    blocks = jnp.split(kernel.reshape(-1, kernel.shape[-1]), subspaces, axis=-1)
    return sum(
        jnp.square(jnp.matmul(one.T, other, precision="highest")).sum()
        for one, other in itertools.combinations(blocks, 2)
    )
