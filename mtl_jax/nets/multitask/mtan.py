"""MTAN: one shared trunk, with task-specific attention over the outputs of its stages."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.backbones.stages import apply_with_intermediate, bind, require_stages


class MTAN(MultitaskTrunk, nn.Module):
    """Multi-task attention network, `x -> {task: [N, D]}`.

    With p_j the output of stage j of the shared trunk, each task t computes
    `a_tj = m_tj * p_j`, `m_tj = sigmoid(norm(V relu(norm(W [u_j, f_j(a_t,j-1)]))))`; V and W
    are 1x1 convolutions (dense layers for vectors) to the number of channels of p_j. `f_j`
    maps the attended features of the previous stage to the size of p_j: `relu(norm(conv3x3))` and
    a max pool, for vectors `relu(norm(dense))`; tasks share it, and the first stage has none.
    The features are the trunk's pool of the last a_t. Masks belong to the tasks, the trunk
    and f are shared.

    In groups of several residual blocks, masks are computed from the input of the last block: u_j
    is its input, p_j its output, as in the authors' code for ResNet. Other stages have a single
    output and u_j is p_j, as in their code for WideResNet (where here u_j is as in ResNet).

    Attributes:
      trunk: a trunk with stages.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for a trunk without stages.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR
      2019, Eq. 1-2 (https://arxiv.org/abs/1803.10704).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.MTAN(nets.MLP((8, 8))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> sorted(params["tasks"]["own"])[:2]
      ['task_mask0_color', 'task_mask0_digit']
    """

    trunk: nn.Module = MLP()
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_stages(self)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` of each task."""
        features = {}
        for depth, stage in enumerate(self.trunk.stages()):
            before, x = apply_with_intermediate(bind(self, stage, f"stage{depth}"), x, train)
            resize = ResizeFeatures(x.shape[1:], name=f"bring{depth}") if depth else None
            for task in self.tasks:
                parts = [before]
                if resize is not None:
                    parts.append(resize(features[task], train=train))
                mask = Mask(x.shape[-1], name=f"task_mask{depth}_{task}")
                features[task] = x * mask(jnp.concatenate(parts, -1), train=train)
        return {task: self.trunk.pool(last) for task, last in features.items()}


class Mask(nn.Module):
    """A mask in (0, 1) for every channel of every pixel, `[N, ..., C'] -> [N, ..., C]`.

    Attributes:
      width: number of channels C.
      kernel_init: initializer of the kernels.
    """

    width: int
    kernel_init: Callable = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps a task's features to its mask."""
        for last in (False, True):
            x = nn.Dense(self.width, kernel_init=self.kernel_init)(x)
            x = BatchNorm()(x, use_running_average=not train)
            x = nn.sigmoid(x) if last else nn.relu(x)
        return x


class ResizeFeatures(nn.Module):
    """Resizes a task's features of the previous stage to the next, `[N, ...] -> [N, *size]`.

    Attributes:
      size: shape of an example, `(H, W, C)` or `(C,)`.
    """

    size: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps features of one stage to features for the next."""
        is_vector = len(self.size) == 1
        if is_vector:
            x = nn.Dense(self.size[-1])(x.reshape(x.shape[0], -1))
        else:
            x = Conv(self.size[-1], (3, 3))(x)
        x = nn.relu(BatchNorm()(x, use_running_average=not train))
        return x if is_vector else max_pool_to(x, self.size[:2])


def max_pool_to(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Max pool of images `[N, H, W, C]` to exactly `[N, *size, C]`, with sides that do not grow."""
    strides = tuple(old // new for old, new in zip(x.shape[1:3], size, strict=True))
    window = tuple(
        old - (new - 1) * stride
        for old, new, stride in zip(x.shape[1:3], size, strides, strict=True)
    )
    return nn.max_pool(x, window, strides)
