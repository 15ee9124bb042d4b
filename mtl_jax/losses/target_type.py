"""Target types of losses, methods and metrics, in scikit-learn's terms."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.core.target_types import ALL_TYPES, TargetType
from mtl_jax.losses.binary import binary_cross_entropy, sigmoid_focal_loss
from mtl_jax.losses.classify import cross_entropy, softmax_focal_loss
from mtl_jax.losses.regress import absolute_error, huber_loss, log_cosh, squared_error

# Tuples, not sets: a user-defined callable need not be hashable.
BINARY_LOSSES = (binary_cross_entropy, sigmoid_focal_loss)
MULTICLASS_LOSSES = (cross_entropy, softmax_focal_loss)
CONTINUOUS_LOSSES = (squared_error, absolute_error, huber_loss, log_cosh)


def target_type(loss: Callable[..., jax.Array], num_outputs: int) -> TargetType | None:
    """Returns the type of the targets of a loss.

    "multiclass" for `cross_entropy` and `softmax_focal_loss`; "binary" for `binary_cross_entropy`
    and `sigmoid_focal_loss` with one output and "multilabel" with several; "continuous" for
    `squared_error`, `absolute_error`, `huber_loss` and `log_cosh`; None for any other function. A
    `functools.partial` has the type of its function.

    Args:
      loss: `(outputs [B, C], targets) -> [B]`.
      num_outputs: C.
    """
    loss = without_options(loss)
    if any(loss is each for each in BINARY_LOSSES):
        return "binary" if num_outputs == 1 else "multilabel"
    if any(loss is each for each in MULTICLASS_LOSSES):
        return "multiclass"
    return "continuous" if any(loss is each for each in CONTINUOUS_LOSSES) else None


def without_options(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a `functools.partial`; other losses unchanged."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    return loss


def possible_types(loss: Callable[..., jax.Array], num_outputs: int) -> tuple[TargetType, ...]:
    """Possible target types: the loss's type or, for a user-defined loss, those its outputs allow.

    A single output is binary or continuous, whatever the loss: its softmax is always 1.
    """
    known_type = target_type(loss, num_outputs)
    if known_type is not None:
        return (known_type,)
    if num_outputs == 1:
        return ("binary", "continuous")
    return ("multiclass", "multilabel", "continuous")


def types_of(method: Any) -> tuple[TargetType, ...]:
    """Target types that a method or metric supports; None (no method) supports all."""
    return ALL_TYPES if method is None else method.target_types
