"""Per layer: any Gram method, applied to each layer of the shared parameters on its own."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.gradvac import GradVac
from mtl_jax.aggregation.jacobian_rows import ratio, spread
from mtl_jax.core.prng import named
from mtl_jax.core.protocols import GramWeighting
from mtl_jax.core.tree import gram, path_text
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class PerLayer:
    """A Gram method by layer: `d_l = sum_i w_i(G_l) g_il`, `G_l` of the rows of layer l.

    A layer is all leaves whose paths differ in the last name only, such as kernel and bias of
    `Dense_0`. Each has its own Gram matrix, state and key, so tasks may conflict in one layer
    and agree in another. What the method promises of the whole gradient holds in each layer,
    and so does its behaviour at any scale; if it never conflicts, neither does the whole, since
    inner products add up over layers.

    The share of a task is the mean of its weights over the layers, each counted by the length
    of the row there (all alike for a zero row).

    Degenerate gradients: in each layer what the method does with them. A NaN or an infinity in
    any layer makes the whole result NaN. No gradient flows into the rows. Whether heads are
    weighed is up to the run. Memory: K gradients of the shared parameters, and the method's
    state (of the size of `[K, K]` at most, mostly) once a layer. `read_losses` is passed on.

    Attributes:
      method: a Gram method. `GradVac()` is that of the reference with "all layer" for groups;
        on its own it is the one with the "whole model".

    Raises:
      BadInput: for what is no Gram method, or one that wants to observe losses after the step.

    Reference: Wang et al., Gradient Vaccine: Investigating and Improving Multi-task
      Optimization in Massively Multilingual Models, ICLR 2021, Section 3 and
      Algorithm 1, by groups of parameters (https://arxiv.org/abs/2010.05874).
    """

    method: GramWeighting = dataclasses.field(default_factory=GradVac)

    def __post_init__(self):
        fits = isinstance(self.method, GramWeighting) and not isinstance(self.method, type)
        require(fits, self, "method", "must be a method with weigh_gram", self.method)
        blind = not hasattr(self.method, "observe")
        require(blind, self, "method", "must not observe losses after the step", self.method)

    def init(self, num_tasks: int, shared: Any) -> Any:
        """State before the first step: the method's, with a leading axis of layers."""
        states = [self.method.init(num_tasks) for _ in layers(shared)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def read_losses(self, losses: jax.Array, state: Any) -> Any:
        """Passes the losses `[K]` on to a method that reads them."""
        if not hasattr(self.method, "read_losses") or not jax.tree.leaves(state):
            return state
        return jax.vmap(self.method.read_losses, (None, 0))(losses, state)

    def combine(self, jacobian: Any, state: Any, key: jax.Array) -> tuple[Any, jax.Array, Any]:
        """Maps gradients (leaves `[K, ...]`) to one, shares `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        leaves, structure = jax.tree.flatten(jacobian)
        places = layers(jacobian)
        grams = jnp.stack([gram([leaves[i] for i in group]) for group in places.values()])
        keys = jnp.stack([named(key, name) for name in places])
        weights, state = jax.vmap(self.method.weigh_gram)(grams, state, keys)
        shares = mean_weights(weights, grams)
        weights = jnp.where(jnp.isfinite(shares).all(), weights, jnp.nan)
        for own, group in zip(weights, places.values(), strict=True):
            for i in group:
                leaves[i] = (spread(own, leaves[i]) * leaves[i]).sum(0)
        return jax.tree.unflatten(structure, leaves), shares, state


def layers(tree: Any) -> dict[str, list[int]]:
    """Places of the leaves of each layer, by the path without its last name."""
    groups = {}
    for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
        groups.setdefault(path_text(path[:-1]), []).append(i)
    return groups


def mean_weights(weights: jax.Array, grams: jax.Array) -> jax.Array:
    """Means `[K]` of weights `[L, K]` over layers, by the lengths on the diagonals `[L, K, K]`."""
    lengths = jnp.sqrt(jnp.diagonal(grams, axis1=1, axis2=2))
    total = lengths.sum(0)
    lengths = jnp.where(total[None] > 0, lengths, 1.0)
    return ratio((lengths * weights).sum(0), lengths.sum(0))
