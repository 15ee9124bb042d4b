"""StochNorm: a trunk whose BatchNorms randomly use running or batch statistics per channel."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require, require_number
from mtl_jax.nets.multitask.experts import require_trunk


class StochNorm(Trunk, nn.Module):
    """Stochastic normalization of a trunk, `[N, ...] -> [N, D]`.

    In training every BatchNorm returns `(1 - s) BN_running(x) + s BN_batch(x)`, s 0 or 1 for each
    channel, 1 with probability p, sampled independently for each norm and pass: BN_running uses
    the running statistics before the pass, without a gradient through them, BN_batch the batch
    statistics; scale and bias are the same. The running statistics are updated as usual.
    Outside training it is the trunk. Without a key (`net.apply(..., key=None)`) s is its mean p.

    Parameters and statistics have the names of the trunk, so that those of a trained one can be
    loaded, as intended: the running statistics should be those of the source model. A BatchNorm
    frozen by the run's `param_rules` uses its running statistics only.

    Attributes:
      trunk: a plain trunk, whose BatchNorms are called with `use_running_average`.
      p: probability of the batch statistics; 1 is the plain trunk.

    Raises:
      BadInput: for anything but a plain trunk, or a number outside its range; when called in
        training, if the trunk has no BatchNorm.

    Reference: Kou et al., Stochastic Normalization, NeurIPS 2020, its section of that name
      (https://proceedings.neurips.cc/paper/2020/hash/bc573864331a9e42e4511de6f678aa83-Abstract.html).

    Example:
      >>> from mtl_jax import nets
      >>> nets.layer_names(nets.StochNorm(nets.MLP((8,), batch_norm=True)), (4,))
      ('Dense_0|BatchNorm_0',)
    """

    trunk: nn.Module
    p: float = 0.5

    def __post_init__(self):
        require_trunk(self, "trunk")
        require_number(self, p=(0.0, 1.0))
        super().__post_init__()

    @property
    def base_trunk(self) -> nn.Module:
        """The trunk of the source model."""
        return self.trunk

    inner_trunks = ("trunk",)

    def setup(self):
        """Keeps the names of the trunk's parameters."""
        nn.share_scope(self, self.trunk)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, D]`."""
        if not train:
            return self.trunk(x, train=False)
        interceptor = StochasticNorms(self.p)
        with nn.intercept_methods(interceptor):
            features = self.trunk(x, train=True)
        rule = "must have a BatchNorm, such as nets.MLP(batch_norm=True)"
        require(interceptor.found, self, "trunk", rule, type(self.trunk).__name__)
        return features


class StochasticNorms:
    """A Linen interceptor that mixes BatchNorm outputs in training, and records if it found any."""

    def __init__(self, p: float):
        self.p, self.found = p, False

    def __call__(self, call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext):
        """Calls a method; that of a BatchNorm in training is called twice."""
        norm = context.module
        if not isinstance(norm, nn.BatchNorm) or context.method_name != "__call__":
            return call(*args, **kwargs)
        self.found = True
        if kwargs["use_running_average"]:
            return call(*args, **kwargs)
        # First, before the batch updates the statistics; and in a separate call, since Linen allows
        # each parameter to be named only once per call.
        running_kwargs: dict[str, Any] = {**kwargs, "use_running_average": True}
        running = norm(*args, **running_kwargs)
        batch = call(*args, **kwargs)
        return mix(norm, self.p, running, batch)


def mix(norm: nn.BatchNorm, p: float, running: jax.Array, batch: jax.Array) -> jax.Array:
    """`(1 - s) running + s batch`, with s sampled for each channel, the last axis."""
    if not norm.has_rng("draw"):
        return (1.0 - p) * running + p * batch
    use_batch = jax.random.bernoulli(norm.make_rng("draw"), p, batch.shape[-1:])
    return jnp.where(jnp.broadcast_to(use_batch, batch.shape), batch, running)
