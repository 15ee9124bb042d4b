"""PerLayer: applies a Gram weighting separately to each layer of the shared parameters."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.gradvac import GradVac
from mtl_jax.aggregation.jacobian_rows import broadcast_rows, require_params, safe_divide
from mtl_jax.core.balancing import BalancedGradient, Balancer, JacobianAggregator, weighs_gram
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree, gram, path_str
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class PerLayer(JacobianAggregator):
    """A Gram weighting per layer: `d_l = sum_i w_i(G_l) g_il`, `G_l` of the rows of layer l.

    A layer consists of all leaves whose paths differ only in the last name, such as kernel and bias
    of `Dense_0`. Each layer has its own Gram matrix, state and key, so tasks may conflict in one
    layer and agree in another. The method's guarantees for the whole gradient hold in each layer,
    and so does its scaling behavior; if the method never conflicts, neither does the whole, since
    inner products add up over layers.

    The weight of a task is the mean of its weights over the layers, weighted by the norm of its row
    in each layer (uniform for a zero row).

    Degenerate gradients: handled per layer by the method. A NaN or infinity in any layer makes the
    whole result NaN. There is no gradient with respect to the rows. Whether heads are weighted is
    set by the run. Memory: K gradients of the shared parameters, and one method state per layer
    (usually of size at most `[K, K]`). `pre_step` is forwarded.

    Attributes:
      method: a Gram weighting. `GradVac()` is that of the reference with "all layer" groups;
        without this wrapper it is the "whole model" variant.

    Raises:
      BadInput: for anything but a Gram weighting, or one that requires the losses after the step.

    Reference: Wang et al., Gradient Vaccine: Investigating and Improving Multi-task
      Optimization in Massively Multilingual Models, ICLR 2021, Section 3 and
      Algorithm 1, by groups of parameters (https://arxiv.org/abs/2010.05874).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method = aggregation.PerLayer(aggregation.GradVac())
      >>> layer = {"kernel": jnp.zeros((4, 4)), "bias": jnp.zeros(4)}
      >>> method.init(num_tasks=3, shared={"Dense_0": layer, "Dense_1": layer}).shape
      (2, 3, 3)
    """

    method: Balancer = dataclasses.field(default_factory=GradVac)

    def __post_init__(self):
        valid = isinstance(self.method, Balancer) and weighs_gram(self.method)
        valid = valid and self.method.inner is self.method
        require(valid, self, "method", "must be a method with weigh_gram", self.method)
        valid = not self.method.uses_post_step
        require(valid, self, "method", "must not observe losses after the step", self.method)

    def init(self, num_tasks: int, shared: Tree = None) -> Tree:
        """Initial state: the method's state with a leading layer axis."""
        require_params(shared)
        states = [self.method.init(num_tasks) for _ in layers(shared)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def pre_step(self, losses: jax.Array, state: Tree) -> Tree:
        """Forwards the losses `[K]` to a method that uses them."""
        if not jax.tree.leaves(state):
            return state
        return jax.vmap(self.method.pre_step, (None, 0))(losses, state)

    def combine(self, jacobian: Tree, state: Tree, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, weights `[K]` and the next state."""
        assert weighs_gram(self.method)
        jacobian = jax.lax.stop_gradient(jacobian)
        leaves, structure = jax.tree.flatten(jacobian)
        indices = layers(jacobian)
        grams = jnp.stack([gram([leaves[i] for i in layer]) for layer in indices.values()])
        keys = jnp.stack([fold_in_name(key, name) for name in indices])
        weights, state = jax.vmap(self.method.weigh_gram)(grams, state, keys)
        means = mean_weights(weights, grams)
        weights = jnp.where(jnp.isfinite(means).all(), weights, jnp.nan)
        for layer_weights, layer in zip(weights, indices.values(), strict=True):
            for i in layer:
                leaves[i] = (broadcast_rows(layer_weights, leaves[i]) * leaves[i]).sum(0)
        return BalancedGradient(jax.tree.unflatten(structure, leaves), means, state)


def layers(tree: Tree) -> dict[str, list[int]]:
    """Leaf indices of each layer, keyed by the path without its last name."""
    groups = {}
    for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
        groups.setdefault(path_str(path[:-1]), []).append(i)
    return groups


def mean_weights(weights: jax.Array, grams: jax.Array) -> jax.Array:
    """Means `[K]` of weights `[L, K]` over layers, weighted by the norms in `[L, K, K]`."""
    norms = jnp.sqrt(jnp.diagonal(grams, axis1=1, axis2=2))
    total = norms.sum(0)
    norms = jnp.where(total[None] > 0, norms, 1.0)
    return safe_divide((norms * weights).sum(0), norms.sum(0))
