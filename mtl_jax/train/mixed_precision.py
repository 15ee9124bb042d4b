"""A model that computes in bfloat16, with parameters and results in float32."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree


def in_bfloat16(model: Model) -> Model:
    """The model with its encoder and heads computed in bfloat16.

    Parameters and inputs are rounded to bfloat16 before, features and outputs are float32 after;
    so are gradients, since those of the rounding are. BatchNorm's statistics are float32
    throughout, as Flax reduces in float32.
    """
    return model._replace(encode=rounded(model.encode), decode=rounded(model.decode))


def rounded(function: Callable[..., tuple[Any, Tree]]) -> Callable[..., tuple[Any, Tree]]:
    """A function `(params, stats, x) -> (y, stats)` in bfloat16 but for its statistics and result."""

    def apply(params: Tree, stats: Tree, x: Any, **options: Any) -> tuple[Any, Tree]:
        with jax.numpy_dtype_promotion("standard"):  # Statistics are float32.
            y, after = function(cast(params, jnp.bfloat16), stats, cast(x, jnp.bfloat16), **options)
        return cast(y, jnp.float32), jax.tree.map(
            lambda new, old: new.astype(old.dtype), after, stats
        )

    return apply


def cast(tree: Any, dtype: Any) -> Any:
    """A tree with its floats in another precision."""

    def one(leaf: jax.Array) -> jax.Array:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)
