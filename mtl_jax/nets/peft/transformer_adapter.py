"""Adapters inside the blocks of a Transformer."""

import dataclasses

import flax.linen as nn
import jax

from mtl_jax.core.validation import require, require_int


@dataclasses.dataclass(frozen=True)
class Adapter:
    """Small residual bottlenecks in every block, `h + gelu(h W_d + b_d) W_u + b_u`.

    h `[N, T, D]` is the output of the block's attention or MLP, before the skip is added (in
    BERT, before the norm too). GELU is exact. W_u and both biases are initialized to 0 and W_d at
    random (He normal), so the model initially equals the one without adapters and W_u can still
    learn. If both matrices were 0, their gradients would remain 0; this is the case for the
    adapter baseline in the code of VPT (github.com/KMnP/vpt), where only the last bias learns.

    The parameters are in modules `adapter_attention` and `adapter_mlp` of each block: a run
    that freezes all others trains only them, and weights without them are loaded with
    `new_params=(r".*/adapter_.*",)`.

    Attributes:
      width: width of the bottleneck.
      after_attention: whether there is also one after the attention (Houlsby), or only after the
        MLP (Pfeiffer).

    Raises:
      BadInput: for a width below 1, or an `after_attention` that is not a bool.

    Reference: Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019,
      Section 2.1 (https://arxiv.org/abs/1902.00751); Pfeiffer et al., AdapterFusion, EACL 2021,
      its section on the adapter's architecture (https://arxiv.org/abs/2005.00247).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk = nets.ViT(width=8, depth=1, heads=2, adapter=nets.Adapter(4))
      >>> x = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
      >>> variables = jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), x)
      >>> variables["params"]["block0"]["adapter_mlp"]["down"]["kernel"].shape
      (8, 4)
    """

    width: int = 64
    after_attention: bool = True

    def __post_init__(self):
        require_int(self, width=1)
        valid = isinstance(self.after_attention, bool)
        require(valid, self, "after_attention", "must be True or False", self.after_attention)


def require_adapter(owner: nn.Module) -> None:
    """Requires a field `adapter` that is an `Adapter` or None.

    Raises:
      BadInput: if it is neither.
    """
    valid = owner.adapter is None or isinstance(owner.adapter, Adapter)
    require(valid, owner, "adapter", "must be a nets.Adapter() or None", owner.adapter)


class Bottleneck(nn.Module):
    """One adapter, `[N, T, D] -> [N, T, D]`.

    Attributes:
      width: width of the bottleneck.
    """

    width: int

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        """Maps tokens to tokens."""
        down = nn.Dense(self.width, kernel_init=nn.initializers.he_normal(), name="down")
        up = nn.Dense(h.shape[-1], kernel_init=nn.initializers.zeros, name="up")
        return h + up(nn.gelu(down(h), approximate=False))


def apply_adapter(h: jax.Array, adapter: Adapter | None, place: str) -> jax.Array:
    """Applies the adapter after "attention" or "mlp" of the calling module to tokens."""
    if adapter is None or (place == "attention" and not adapter.after_attention):
        return h
    return Bottleneck(adapter.width, name=f"adapter_{place}")(h)
