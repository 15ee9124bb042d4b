"""Trunks split into stages, which multi-task architectures copy per task.

A `StagedTrunk` defines `stages() -> tuple` of unbound Linen modules `(x, train) -> x`, whose
composition is the trunk, and `pool(x) -> features [N, D]`, applied at the end. A stage of several
blocks is a `DividedStage` with a true `has_blocks`; called with `before=True` it returns
`(before, x)`, where `before` is the input of its last block and has the shape of x.
"""

from collections.abc import Iterable, Sequence

import flax.linen as nn
import jax

from mtl_jax.core.features import Pyramid
from mtl_jax.core.trunk import DividedStage, StagedTrunk
from mtl_jax.core.validation import require


def require_stages(owner: nn.Module) -> None:
    """Requires a field `trunk` that has stages.

    Raises:
      BadInput: if it has none.
    """
    trunk = owner.trunk
    valid = isinstance(trunk, StagedTrunk)
    rule = "must be a trunk that can be cut in stages, such as nets.MLP()"
    require(valid, owner, "trunk", rule, type(trunk).__name__)


def bind(owner: nn.Module, module: nn.Module, name: str) -> nn.Module:
    """The unbound module as a submodule of the owner, with the given name."""
    return module.clone(parent=owner, name=name)


def apply_per_task(
    owner: nn.Module,
    stage: nn.Module,
    depth: int,
    tasks: Sequence[str],
    inputs: Iterable[jax.Array],
    train: bool,
) -> list[jax.Array]:
    """Outputs of each task's own copy of a stage, `stage{depth}_{task}`, for the task's input.

    The copies are kept in a list: `vmap` over convolution kernels would result in grouped
    convolutions, whose backward pass is slow on a CPU.
    """
    return [
        bind(owner, stage, f"stage{depth}_{task}")(x, train=train)
        for task, x in zip(tasks, inputs, strict=True)
    ]


def sequential(
    owner: nn.Module, stages: Sequence[nn.Module], x: jax.Array, train: bool
) -> jax.Array:
    """Runs modules sequentially, as submodules `stage{depth}` of the owner."""
    for depth, stage in enumerate(stages):
        x = bind(owner, stage, f"stage{depth}")(x, train=train)
    return x


def apply_with_intermediate(
    stage: nn.Module, x: jax.Array, train: bool
) -> tuple[jax.Array, jax.Array]:
    """Input of a stage's last block, and the stage's output; without blocks, the output twice."""
    if isinstance(stage, DividedStage) and stage.has_blocks:
        return stage(x, train=train, before=True)
    x = stage(x, train=train)
    return x, x


def pool_features(trunk: nn.Module, x: jax.Array) -> jax.Array:
    """The mean over the pixels of the last stage's output, or with `features="map"` that output.

    Raises:
      BadInput: for a pyramid, in an architecture that copies stages.
    """
    kind = trunk.features
    rule = "must be 'map' or 'vector' here, since an architecture reads the last stage only"
    require(kind != "pyramid", trunk, "features", rule, kind)
    return x if kind == "map" else global_average_pool(x)


def pyramid(outputs: Iterable[jax.Array]) -> Pyramid:
    """Of the outputs of consecutive stages, the last at each resolution."""
    return Pyramid(tuple({x.shape[1:3]: x for x in outputs}.values()))


def global_average_pool(x: jax.Array) -> jax.Array:
    """Mean over the pixels of `[N, H, W, C]`; vectors `[N, D]` are returned unchanged."""
    return x.mean((1, 2)) if x.ndim == 4 else x
