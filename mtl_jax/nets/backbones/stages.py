"""Trunks cut in stages: what architectures lay copies of side by side.

A trunk offers `stages() -> tuple` of unbound Linen modules `(x, train) -> x`, which one after
the other are the trunk, and `pool(x) -> features [N, D]`, which ends it. A stage of several
parts may have a true `divided`; called with `before=True` it gives `(before, x)`, what its
last part reads as well, which has the shape of x.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax

from mtl_jax.core.validation import require


def require_stages(owner: nn.Module) -> None:
    """Requires a field `trunk` that can be cut in stages.

    Raises:
      BadInput: if it cannot.
    """
    trunk = owner.trunk
    fine = isinstance(trunk, nn.Module) and hasattr(trunk, "stages") and hasattr(trunk, "pool")
    rule = "must be a trunk that can be cut in stages, such as nets.MLP()"
    require(fine, owner, "trunk", rule, type(trunk).__name__)


def hung(owner: nn.Module, part: nn.Module, name: str) -> nn.Module:
    """The unbound module as a part of the owner, under a name."""
    return part.clone(parent=owner, name=name)


def copies(
    owner: nn.Module,
    stage: nn.Module,
    depth: int,
    tasks: Sequence[str],
    inputs: Sequence[jax.Array],
    train: bool,
) -> list[jax.Array]:
    """What each task's own copy of a stage, `stage{depth}_{task}`, makes of the task's input.

    The copies stand in a list: `vmap` over kernels of convolutions would make grouped
    convolutions, whose backward pass is slow on a CPU.
    """
    return [
        hung(owner, stage, f"stage{depth}_{task}")(x, train=train)
        for task, x in zip(tasks, inputs, strict=True)
    ]


def in_order(owner: nn.Module, stages: Sequence[nn.Module], x: jax.Array, train: bool):
    """Runs modules one after the other, as parts `stage{depth}` of the owner."""
    for depth, stage in enumerate(stages):
        x = hung(owner, stage, f"stage{depth}")(x, train=train)
    return x


def looked_into(stage: nn.Module, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """What the last part of a stage reads, and what it gives; without parts, twice the latter."""
    if getattr(stage, "divided", False):
        return stage(x, train=train, before=True)
    x = stage(x, train=train)
    return x, x


def averaged(x: jax.Array) -> jax.Array:
    """Mean over the pixels of `[N, H, W, C]`; vectors `[N, D]` as they are."""
    return x.mean((1, 2)) if x.ndim == 4 else x
