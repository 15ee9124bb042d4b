"""Functions shared by architectures made of trunks: validation, copies and mixtures."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk, traits
from mtl_jax.core.validation import BadInput, require


def require_trunk(owner: nn.Module | Trunk, field: str) -> None:
    """Requires a field to be a plain trunk, `[N, ...] -> [N, D]`.

    Raises:
      BadInput: for anything but a module, or for a multi-task architecture.
    """
    value = getattr(owner, field)
    valid = isinstance(value, nn.Module) and not traits(value).is_multitask
    require(valid, owner, field, "must be a trunk such as nets.MLP()", value)


def require_array(owner: nn.Module, field: str, features: Any) -> None:
    """Requires that a trunk gives one array, not a pyramid or tokens.

    Raises:
      BadInput: when traced, naming the architecture.
    """
    rule = "must give one array here, a vector or a map"
    value = type(features).__name__
    require(isinstance(features, jax.Array), owner, field, rule, value)


def clone_trunk(parent: nn.Module, trunk: nn.Module, name: str, count: int) -> list[nn.Module]:
    """Trunks `name_0`, `name_1`, ... with separate parameters; must be called in `__call__`."""
    return [trunk.clone(parent=parent, name=f"{name}_{i}") for i in range(count)]


def flatten(x: jax.Array) -> jax.Array:
    """Inputs `[N, ...]` as vectors `[N, D]`.

    Raises:
      BadInput: when traced, for anything but an array of floats, such as tokens.
    """
    if not isinstance(x, jax.Array) or not jnp.issubdtype(x.dtype, jnp.floating):
        kind = str(x.dtype) if isinstance(x, jax.Array) else type(x).__name__
        raise BadInput(f"gates and cascades read inputs that are one array of floats, not {kind}")
    return x.reshape(x.shape[0], -1)


def gate(x: jax.Array, experts: int, name: str) -> jax.Array:
    """Expert weights `softmax(x W)` `[N, E]` from inputs `[N, ...]`; no bias."""
    return nn.softmax(nn.Dense(experts, use_bias=False, name=name)(flatten(x)))


def mixture(weights: jax.Array, outputs: list[Any]) -> Any:
    """`sum_e w_e f_e` from weights `[N, E]` or `[E]`, and E features of one type, as `[N, ..., D]`."""
    batch = jax.tree.leaves(outputs[0])[0].shape[0]
    weights = jnp.broadcast_to(weights, (batch, len(outputs)))
    return jax.tree.map(
        lambda *parts: jnp.einsum("ne,en...->n...", weights, jnp.stack(parts)), *outputs
    )
