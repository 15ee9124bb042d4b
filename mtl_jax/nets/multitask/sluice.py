"""Sluice networks: cross-stitch between subspaces, and features mixed across layers."""

import dataclasses
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, path_str, sum_arrays
from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.stages import apply_per_task, require_stages
from mtl_jax.nets.multitask.cross_stitch import mixing_weights
from mtl_jax.nets.multitask.nddr import resize_to


class Sluice(MultitaskTrunk, nn.Module):
    """Sluice networks, `x -> {task: [N, D]}`.

    Every task has its own copy of the trunk; the channels of each stage's output are split into
    P subspaces. After each stage, `x_tp <- sum_uq A[tp, uq] x_uq` over all `K P` subspaces.
    Features are `sum_l b[t, l] h_tl`, over the stages l, of outputs averaged over pixels, or
    resized to the last one if the trunk gives a map. A is initialized as in `CrossStitch`; b to
    `last` for the last stage, and the remainder equally for the others. b belongs to the tasks,
    all other parameters are shared.

    In the paper all layers have one width; here, stages of another width than D enter the
    mixture through a linear map of their task, without bias. The initial values are our choice.

    Attributes:
      trunk: a trunk with stages of divisible widths, copied for each task.
      same: initial weight of a subspace's own features.
      last: initial weight of the last stage in the features.
      subspaces: P.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages, or a value outside its range; when called, for a
        stage whose channels are not divisible by P.

    Reference: Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, Section 3
      (https://arxiv.org/abs/1705.08142).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.Sluice(nets.MLP((8, 8)), subspaces=2), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["shared"]["sluice0"].shape, params["tasks"]["own"]["task_layers"].shape
      ((4, 4), (2, 2))
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
        features, layers = [x] * len(self.tasks), []
        for depth, stage in enumerate(self.trunk.stages()):
            features = jnp.stack(apply_per_task(self, stage, depth, self.tasks, features, train))
            size = len(self.tasks) * self.subspaces
            units = self.param(f"sluice{depth}", lambda _, n=size: mixing_weights(n, self.same))
            features = self.stitch(units, features)
            layers.append(features)
        last = [self.trunk.pool(x) for x in features]
        layers = [*([resize_to(x, last[0]) for x in layer] for layer in layers[:-1]), last]
        layer_weights = self.param("task_layers", self.init_layer_weights, len(layers))
        return {task: self.mix_layers(task, layer_weights[index], [layer[index] for layer in layers])
                for index, task in enumerate(self.tasks)}  # fmt: skip

    @nn.nowrap
    def stitch(self, units: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs `[K, N, ..., C]` with their subspaces mixed by `[K P, K P]`."""
        count, width = self.subspaces, features.shape[-1]
        rule = "must divide the channels of every stage"
        require(width % count == 0, self, "subspaces", rule, count)
        subspaces = jnp.stack(jnp.split(features, count, axis=-1), 1)
        flat = subspaces.reshape(-1, *subspaces.shape[2:])
        subspaces = jnp.tensordot(units, flat, 1).reshape(subspaces.shape)
        return jnp.concatenate([subspaces[:, part] for part in range(count)], -1)

    @nn.nowrap
    def init_layer_weights(self, key: jax.Array, depth: int) -> jax.Array:
        """Initial layer weights `[K, L]`; deterministic."""
        return jnp.tile(mixing_weights(depth, self.last)[-1:], (len(self.tasks), 1))

    @nn.nowrap
    def mix_layers(self, task: str, weights: jax.Array, layers: list[jax.Array]) -> jax.Array:
        """Features of one task, from its layers `[N, ..., D_l]` and their weights `[L]`."""
        width = layers[-1].shape[-1]
        projected = [
            layer if layer.shape[-1] == width
            else nn.Dense(width, use_bias=False, name=f"task_reach{depth}_{task}")(layer)
            for depth, layer in enumerate(layers)
        ]  # fmt: skip
        return jnp.tensordot(weights, jnp.stack(projected), 1)


@dataclasses.dataclass(frozen=True)
class SubspaceOrthogonality:
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets
      >>> kernel = jnp.array([[1.0, 2.0], [0.0, 0.0]])  # Two parallel subspaces.
      >>> params = {"shared": {"stage0_digit": {"kernel": kernel}}}
      >>> float(nets.SubspaceOrthogonality(weight=0.5)(params, anchor=None))
      2.0
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
            raise BadInput("SubspaceOrthogonality needs subspaces: trunk=nets.Sluice(...)")
        return self.weight * sum_arrays(overlap(kernel, self.subspaces) for kernel in kernels)


def overlap(kernel: jax.Array, subspaces: int) -> jax.Array:
    """`sum_{p < q} ||W_p^T W_q||_F^2` of a kernel `[..., C]`."""
    blocks = jnp.split(kernel.reshape(-1, kernel.shape[-1]), subspaces, axis=-1)
    return sum_arrays(
        jnp.square(jnp.matmul(left.T, right, precision="highest")).sum()
        for left, right in itertools.combinations(blocks, 2)
    )
