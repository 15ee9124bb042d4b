"""Attention: each task pools a shared trunk's features with its own query."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require, require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import require_array, require_trunk


class Attention(MultitaskTrunk, nn.Module):
    """Attention pooling with one learned query per task, `[N, ...] -> {task: [N, D]}`.

    The trunk's features are split into T tokens `z_i`: the positions of a map `[N, ..., C]`, or
    groups of consecutive entries of a vector `[N, P]`, C = P / T; `y_i = z_i + p_i` with a
    learned position embedding p_i. For each attention head, with `d = D / heads`,
    `w_t = softmax_i(q_t . (y_i K) / sqrt(d))`, `f_t = sum_i w_ti y_i V`; the features are the
    concatenated heads. K, V, p and the trunk are shared, the query q_t `[heads, d]` belongs to
    task t and does not depend on the input.

    This is the attention of the pooling block of the Set Transformer with one seed vector per
    task, without its residual, normalization and feed-forward layers. It differs from MTAN, where
    tasks mask the feature maps within the trunk.

    Attributes:
      trunk: the shared trunk; it may keep positions.
      groups: T if the trunk returns vectors; must divide their length.
      features: D.
      heads: number of attention heads; must divide D.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for anything but a plain trunk, or a number that is below 1 or does not divide;
        when called, for groups that do not divide the features.

    Reference: Lee et al., Set Transformer, ICML 2019, Section 3.2, pooling by multihead
      attention (https://arxiv.org/abs/1810.00825); Vaswani et al., Attention Is All You Need,
      NeurIPS 2017, Eq. 1 (https://arxiv.org/abs/1706.03762).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.Attention(nets.MLP((16,)), features=8, heads=2), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_query_digit"].shape
      (2, 4)
    """

    trunk: nn.Module = MLP()
    groups: int = 4
    features: int = 128
    heads: int = 4
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_int(self, groups=1, features=1, heads=1)
        divides = self.features % self.heads == 0
        require(divides, self, "heads", f"must divide features {self.features}", self.heads)
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        features = self.trunk(x, train=train)
        require_array(self, "trunk", features)
        z = tokens(self, features)
        y = z + self.param("places", nn.initializers.normal(0.02), z.shape[1:])[None]
        shape = (self.heads, self.features // self.heads)
        keys = nn.DenseGeneral(shape, use_bias=False, name="keys")(y)
        values = nn.DenseGeneral(shape, use_bias=False, name="values")(y)
        return {
            task: attention_pool(
                self.param(f"task_query_{task}", nn.initializers.normal(1.0), shape), keys, values
            )
            for task in self.tasks
        }


def tokens(parent: Attention, features: jax.Array) -> jax.Array:
    """Features `[N, P]` or `[N, ..., C]` as tokens `[N, T, C]`."""
    if features.ndim > 2:
        return features.reshape(features.shape[0], -1, features.shape[-1])
    size, groups = features.shape[1], parent.groups
    require(size % groups == 0, parent, "groups", f"must divide the features {size}", groups)
    return features.reshape(features.shape[0], groups, size // groups)


def attention_pool(query: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Features `[N, D]` of a query `[heads, d]` over keys and values `[N, T, heads, d]`."""
    scores = jnp.einsum("hd,nthd->nth", query, keys) / query.shape[-1] ** 0.5
    pooled = jnp.einsum("nth,nthd->nhd", nn.softmax(scores, axis=1), values)
    return pooled.reshape(pooled.shape[0], -1)
