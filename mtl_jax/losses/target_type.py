"""What a loss says of its targets, in scikit-learn's words, and what is for which of them."""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

from mtl_jax.losses.binary import binary_cross_entropy
from mtl_jax.losses.classify import cross_entropy
from mtl_jax.losses.regress import squared_error

TargetType = Literal["multiclass", "binary", "multilabel", "continuous"]

# What a method or a metric says in its `target_types`.
ALL_TYPES: tuple[TargetType, ...] = get_args(TargetType)
MULTICLASS: tuple[TargetType, ...] = ("multiclass",)
CONTINUOUS: tuple[TargetType, ...] = ("continuous",)


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
    # Not by a dictionary: a user's own callable need not have a hash.
    if loss is cross_entropy:
        return "multiclass"
    return "continuous" if loss is squared_error else None


def possible_types(loss: Callable, outputs: int) -> tuple[TargetType, ...]:
    """The types that targets may be of: the loss's, or of a user's own, what its outputs allow.

    One output is binary or a number, whatever the loss: its softmax is 1.
    """
    found = target_type(loss, outputs)
    if found is not None:
        return (found,)
    return ("binary", "continuous") if outputs == 1 else ("multiclass", "multilabel", "continuous")


def types_of(part: Any) -> tuple[TargetType, ...]:
    """The types that a method or a metric is for; a user's own that does not say is for all."""
    return getattr(part, "target_types", ALL_TYPES)
