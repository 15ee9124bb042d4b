"""What architectures made of whole trunks do alike: check, copy and mix them."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def require_trunk(owner: nn.Module, field: str) -> None:
    """Requires a plain trunk, `[N, ...] -> [N, D]`, of a field.

    Raises:
      BadInput: for what is no module, or an architecture of its own.
    """
    value = getattr(owner, field)
    plain = isinstance(value, nn.Module) and not hasattr(value, "tasks")
    require(plain, owner, field, "must be a trunk such as nets.MLP()", value)


def copies(parent: nn.Module, trunk: nn.Module, name: str, count: int) -> list[nn.Module]:
    """Trunks `name_0`, `name_1`, ... with parameters of their own; call it in `__call__`."""
    return [trunk.clone(parent=parent, name=f"{name}_{i}") for i in range(count)]


def flat(x: jax.Array) -> jax.Array:
    """Inputs `[N, ...]` as vectors `[N, D]`."""
    return x.reshape(x.shape[0], -1)


def gate(x: jax.Array, experts: int, name: str) -> jax.Array:
    """Weights `softmax(x W)` `[N, E]` of experts, by inputs `[N, ...]`; no bias."""
    return nn.softmax(nn.Dense(experts, use_bias=False, name=name)(flat(x)))


def mixed(weights: jax.Array, outputs: list[jax.Array]) -> jax.Array:
    """`sum_e w_e f_e` `[N, D]` of weights `[N, E]` or `[E]`, and E outputs `[N, D]`."""
    weights = jnp.broadcast_to(weights, (outputs[0].shape[0], len(outputs)))
    return jnp.einsum("ne,end->nd", weights, jnp.stack(outputs))
