"""Names of the layers of a trunk, from first to last, for `param_rules` that depend on depth."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def layer_names(
    trunk: nn.Module, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> tuple[str, ...]:
    """Patterns of the top-level modules of a trunk, in the order of their calls.

    A norm belongs to the layer before it, and a parameter of the trunk itself (a class token,
    position embeddings) to the first layer.

    Args:
      trunk: `(x [N, ...], train) -> features [N, D]`.
      shape: shape of one example.
      dtype: dtype of the examples; int32 for tokens.

    Returns:
      A regular expression for each layer, as accepted by `mtl_jax.transfer.finetuning`:
      `("Conv_0|BatchNorm_0", "Conv_1|BatchNorm_1")`.

    Raises:
      BadInput: for a wrapper around a trunk (`nets.LoRA`) instead of the trunk itself.

    Example:
      >>> from mtl_jax import nets
      >>> nets.layer_names(nets.CNN((8, 16)), (32, 32, 3))
      ('Conv_0|BatchNorm_0', 'Conv_1|BatchNorm_1')
    """
    rule = "must be a Flax module with parameters of its own"
    require(isinstance(trunk, nn.Module), "layer_names", "trunk", rule, trunk)
    calls = []

    def record(call, args, kwargs, context):
        path = context.module.path
        if path and path[0] not in calls:
            calls.append(path[0])
        return call(*args, **kwargs)

    def init(key, x):
        return trunk.init({"params": key, "draw": key}, x, train=False)

    with nn.intercept_methods(record):
        sample = jax.ShapeDtypeStruct((1, *shape), dtype)
        params = jax.eval_shape(init, jax.random.key(0), sample)["params"]
    groups = []
    for name in (name for name in calls if name in params):
        if groups and "norm" in name.lower():
            groups[-1].append(name)
        else:
            groups.append([name])
    groups[0] += [name for name in params if name not in calls]
    return tuple("|".join(group) for group in groups)
