"""Combines the gradients of K losses into one gradient."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.pullback import TaskPullback, pullback_only
from mtl_jax.config.balance_options import AS_PUBLISHED, BalanceOptions
from mtl_jax.core.balancing import (
    BalancedGradient,
    Balancer,
    CrossGramWeighting,
    combines_jacobian,
    weighs_cross,
    weighs_gram,
    weighs_losses,
    weighs_outer,
)
from mtl_jax.core.tree import Tree, global_norm, gram, weighted_sum


def balance(
    method: Balancer,
    losses: jax.Array,
    pullback: TaskPullback | Callable[[jax.Array], Tree],
    state: Tree,
    key: jax.Array,
    options: BalanceOptions = AS_PUBLISHED,
) -> BalancedGradient:
    """Combines K losses and their pullbacks into one gradient.

    A loss weighting costs one backward pass; a bilevel weighting also costs its held-out losses.
    The other methods cost K backward passes through the trunk or, with respect to the
    representation, K through the heads and one through the trunk. They weight the gradients of the
    shared parameters; task-specific parameters keep their own task's gradient.

    Args:
      method: a weighting or an aggregator.
      losses: `[K]`.
      pullback: pullbacks of the losses; or a single function that maps cotangents `[K]` to a
        gradient, such as the second result of `jax.vjp` (without the enclosing tuple).
      state: the method's state.
      key: PRNG key for methods that sample.
      options: what the Jacobian is taken with respect to, how head gradients are treated, and the
        norm of the shared gradient.

    Returns:
      The gradient, the applied weights, and the next state.

    Raises:
      TypeError: if the method does not subclass a class of `mtl_jax.core.balancing`.
      ValueError: if the method requires a shared representation, extra batches or held-out losses
        that are missing.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation, weighting
      >>> def losses_of(params):
      ...     return jnp.stack([params["shared"] ** 2, (params["shared"] - params["tasks"]) ** 2])
      >>> losses, vjp = jax.vjp(losses_of, {"shared": jnp.array(2.0), "tasks": jnp.array(1.0)})
      >>> method, pullback = weighting.LogSum(), lambda cotangents: vjp(cotangents)[0]
      >>> result = aggregation.balance(method, losses, pullback, (), jax.random.key(0))
      >>> result.weights.tolist(), jax.tree.map(float, result.gradient)
      ([0.25, 1.0], {'shared': 3.0, 'tasks': -2.0})
    """
    if not isinstance(method, Balancer):
        raise TypeError(f"balance needs a class of mtl_jax.core.balancing, not {method!r}")
    if not isinstance(pullback, TaskPullback):
        pullback = pullback_only(pullback, losses)
    state = method.pre_step(losses, state)
    pullback, method = method.perturb(pullback, key), method.inner
    if method.needs_task_gradients:
        balanced = weigh_by_jacobian(method, pullback, state, key, options)
    else:
        balanced = weigh_by_losses(method, losses, pullback, state, key)
    return apply_options(pullback, balanced, options, not method.needs_task_gradients)


def aggregate(
    method: Balancer, jacobian: Tree, key: jax.Array, state: Tree = None
) -> tuple[Tree, jax.Array]:
    """Aggregates a Jacobian tree into one gradient: `aggregate(UPGrad(), jacobian, key)`.

    Args:
      method: a Gram-matrix or Jacobian aggregator.
      jacobian: pytree of leaves `[K, ...]`; row k of all leaves is the gradient of task k.
      key: PRNG key for methods that sample.
      state: the method's state; None means the initial state.

    Returns:
      The gradient, a pytree of leaves `[...]`, and the task weights `[K]`.

    Raises:
      TypeError: for a method that weights losses or requires more batches. An aggregator that
        normalizes by losses, such as `MGDA("loss")`, assumes losses of 1 here; see `balance`.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> jacobian = {"kernel": jnp.array([[2.0, 0.0], [-1.0, 1.0]])}
      >>> method = aggregation.PCGrad()
      >>> gradient, weights = aggregation.aggregate(method, jacobian, jax.random.key(0))
      >>> weights.tolist(), gradient["kernel"].tolist()
      ([1.5, 2.0], [1.0, 2.0])
    """
    combines = isinstance(method, Balancer) and method.access in ("gramian", "jacobian")
    if not combines or method.inner is not method:
        raise TypeError(f"aggregate needs an aggregator of gradients, not {method!r}")
    if state is None:
        num_tasks = jax.tree.leaves(jacobian)[0].shape[0]
        row = jax.tree.map(lambda leaf: leaf[0], jacobian)
        state = method.init(num_tasks, row) if combines_jacobian(method) else method.init(num_tasks)
    gradient, weights, _ = combine_rows(method, jacobian, state, key)
    return gradient, weights


def weigh_by_losses(
    method: Balancer, losses: jax.Array, pullback: TaskPullback, state: Tree, key: jax.Array
) -> BalancedGradient:
    """Gradient for a method that does not need per-task gradients."""
    if weighs_losses(method):
        weights, state = method.weigh_losses(losses, state, key)
    elif weighs_outer(method) and pullback.heldout_losses is not None:
        weights, state = method.weigh_outer(pullback.heldout_losses, state, key)
    else:
        raise ValueError(f"{method!r} needs heldout_losses, the losses after a step")
    active = pullback.active_tasks
    weights = weights if active is None else jnp.where(active, weights, 0.0)
    return BalancedGradient(pullback.vjp(weights), weights, state)


def weigh_by_jacobian(
    method: Balancer, pullback: TaskPullback, state: Tree, key: jax.Array, options: BalanceOptions
) -> BalancedGradient:
    """Gradient for a method that takes K backward passes; heads keep their own gradients."""
    if weighs_cross(method):
        return weigh_by_cross_gram(method, pullback, state, key)
    if options.jacobian_wrt == "representation":
        return weigh_by_feature_jacobian(method, pullback, state, key)
    if weighs_gram(method) and pullback.gramian_fn is not None:
        weights, state = method.weigh_gram(pullback.gramian_fn(), state, key)
        return BalancedGradient(weighted_gradient(pullback, weights), weights, state)
    jacobian = pullback.jacobian()
    shared, weights, state = combine_rows(method, jacobian["shared"], state, key)
    return BalancedGradient({"shared": shared, "tasks": jacobian["tasks"]}, weights, state)


def weigh_by_feature_jacobian(
    method: Balancer, pullback: TaskPullback, state: Tree, key: jax.Array
) -> BalancedGradient:
    """Gradient for a method that combines gradients with respect to the representation."""
    if pullback.feature_jacobian is None or pullback.encoder_vjp is None:
        rule = "needs heads that all read one representation"
        raise ValueError(f"jacobian_wrt='representation' {rule}")
    jacobian = pullback.feature_jacobian()
    features, weights, state = combine_rows(method, jacobian["shared"], state, key)
    gradient = {"shared": pullback.encoder_vjp(features), "tasks": jacobian["tasks"]}
    return BalancedGradient(gradient, weights, state)


def combine_rows(method: Balancer, jacobian: Tree, state: Tree, key: jax.Array) -> BalancedGradient:
    """Combines gradients (leaves `[K, ...]`) to one.

    Raises:
      TypeError: for a method that does not weight or combine gradients of one batch.
    """
    if combines_jacobian(method):
        return method.combine(jacobian, state, key)
    if not weighs_gram(method):
        raise TypeError(f"a method with access {method.access!r} combines no gradients")
    weights, state = method.weigh_gram(gram(jacobian), state, key)
    return BalancedGradient(weighted_sum(weights, jacobian), weights, state)


def weigh_by_cross_gram(
    method: CrossGramWeighting, pullback: TaskPullback, state: Tree, key: jax.Array
) -> BalancedGradient:
    """Gradient for a method that computes weights from two other batches."""
    if len(pullback.extra_batches) != 2:
        raise ValueError(f"{method!r} needs extra_batches, the pullbacks of two more batches")
    first, second = (batch.jacobian()["shared"] for batch in pullback.extra_batches)
    weights, state = method.weigh_cross(gram(first, second), state, key)
    return BalancedGradient(weighted_gradient(pullback, weights), weights, state)


def weighted_gradient(pullback: TaskPullback, weights: jax.Array) -> Tree:
    """Gradient of the weighted losses; task-specific parameters keep their own gradients."""
    ones = jnp.ones_like(weights)
    return {"shared": pullback.vjp(weights)["shared"], "tasks": pullback.vjp(ones)["tasks"]}


def apply_options(
    pullback: TaskPullback,
    balanced: BalancedGradient,
    options: BalanceOptions,
    heads_weighted: bool,
) -> BalancedGradient:
    """Applies the options; `heads_weighted` says whether the gradients of the heads are weighted."""
    gradient, weights, state = balanced
    ones, factor = jnp.ones_like(weights), 1.0
    if options.rescale != "paper":
        unweighted_sum = lambda: pullback.vjp(ones)["shared"]
        factor = rescale_factor(options.rescale, weights, gradient["shared"], unweighted_sum)
    weights = weights * factor
    shared, tasks = scale_tree(gradient["shared"], factor), gradient["tasks"]
    heads = options.head_gradients
    weighted = heads_weighted if heads == "paper" else heads == "weighted"
    if weighted != heads_weighted:
        tasks = pullback.vjp(weights if weighted else ones)["tasks"]
    elif weighted:
        tasks = scale_tree(tasks, factor)
    return BalancedGradient({"shared": shared, "tasks": tasks}, weights, state)


def rescale_factor(
    rescale: str, weights: jax.Array, shared: Tree, unweighted_sum: Callable[[], Tree]
) -> jax.Array:
    """Factor `[]` that rescales the shared gradient to the requested norm; 1 if it is zero."""
    norm = jnp.abs(weights).sum() if rescale in ("sum", "mean") else global_norm(shared)
    if rescale == "sum":
        target = jnp.asarray(weights.size, norm.dtype)
    elif rescale == "equal":
        target = global_norm(unweighted_sum())
    else:
        target = jnp.ones_like(norm)
    return jnp.where(norm == 0, 1.0, target / jnp.where(norm == 0, 1.0, norm))


def scale_tree(tree: Tree, factor: jax.Array | float) -> Tree:
    """Multiplies every leaf by a factor."""
    return jax.tree.map(lambda leaf: leaf * factor, tree)
