"""What a loss says of its targets, in scikit-learn's words."""

import functools
from collections.abc import Callable
from typing import Literal

from mtl_jax.losses.binary import binary_cross_entropy
from mtl_jax.losses.classify import cross_entropy
from mtl_jax.losses.regress import squared_error

TargetType = Literal["multiclass", "binary", "multilabel", "continuous"]


def target_type(loss: Callable, outputs: int) -> TargetType | None:
    """The type of the targets that a loss compares its outputs with.

    "multiclass" of `cross_entropy`, "binary" of `binary_cross_entropy` with one output,
    "multilabel" with several, "continuous" of `squared_error`; None for any other function. A
    `functools.partial` is of the type of its function.

    Args:
      loss: `(outputs [B, C], targets) -> [B]`.
      outputs: C.
    """
    while isinstance(loss, functools.partial):
        loss = loss.func
    if loss is binary_cross_entropy:
        return "binary" if outputs == 1 else "multilabel"
    return {cross_entropy: "multiclass", squared_error: "continuous"}.get(loss)
