"""Recomputes BatchNorm statistics, for parameters that were not obtained by training."""

import jax
import jax.numpy as jnp

from mtl_jax.core.head_key import encoder_params
from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree, leaf_paths, merge, partition
from mtl_jax.core.validation import BadInput

DECIMALS = 5  # Decimals of a momentum that are distinguished from rounding.


def update_bn(
    net: Model, params: Tree, batch_stats: Tree, batches: jax.Array, key: jax.Array | None = None
) -> Tree:
    """Recomputes the BatchNorm statistics of a model for given parameters, as a mean over batches.

    `mean = 1/M sum_m mean_m` and `var = 1/M sum_m var_m`, of each norm's inputs in batch m of M,
    with every batch in training mode, so that deeper norms receive inputs normalized by their
    batch. The given statistics are ignored. Needed after `uniform_soup` and similar functions,
    whose results have no valid statistics. The variance does not include the variance of means
    between batches; use batches as large as in training.

    A model updates statistics s with a momentum that it does not report,
    `s' = m s + (1 - m) batch`. Here s starts at 0 and m is the derivative of s', so any model with
    such updates works. A momentum with at most five decimals is found exactly, any other to single
    precision, which at m = 0.999 gives the batch statistics with a relative error of 3e-5. A norm
    applied several times per pass, as in `nets.AdaShare`, gets their mean, in which each
    application counts 1/m of the previous one.

    A frozen BatchNorm keeps its given statistics, as do all entries not named `mean` or `var`, such
    as step counts. For `nets.StochNorm`, compose its trunk, which has the same parameters.

    Args:
      net: a model of `nets.compose`.
      params: trained or averaged parameters, with or without heads.
      batch_stats: statistics of the model, with any values.
      batches: inputs `[M, B, ...]`, in batches of equal size; the caller drops a partial last
        batch, which would otherwise have the same weight.
      key: random key, for models that are stochastic in training.

    Returns:
      The statistics, of the same structure and dtypes. Parameters are unchanged.

    Raises:
      BadInput: if the model has no BatchNorm, or there are no batches.

    Reference: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization,
      UAI 2018, its section on batch normalization (https://arxiv.org/abs/1803.05407).

    Example:
      >>> import functools
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets, transfer
      >>> net = nets.make_model(nets.MLP((4,), batch_norm=True), {"digit": 10})
      >>> batches = jnp.ones((3, 8, 2))
      >>> params, batch_stats = jax.eval_shape(net.init, jax.random.key(0), batches[0])
      >>> update = functools.partial(transfer.update_bn, net)
      >>> jax.eval_shape(update, params, batch_stats, batches)["BatchNorm_0"]["mean"].shape
      (4,)
    """
    count = jax.tree.leaves(batches)[0].shape[0]
    names = [name.rpartition("/")[2] in ("mean", "var") for name in leaf_paths(batch_stats)]
    if not any(names) or not count:
        raise BadInput("update_bn needs a net with BatchNorm, and at least one batch")
    is_moment = jax.tree.unflatten(jax.tree.structure(batch_stats), names)
    moments, rest = partition(batch_stats, is_moment)
    zeros = jax.tree.map(jnp.zeros_like, moments)
    params = encoder_params(params)

    def update(moments: Tree, x: jax.Array, key: jax.Array | None) -> Tree:
        _, updated = net.encode(params, merge(moments, rest), x, train=True, key=key)
        return partition(updated, is_moment)[0]

    keys = None if key is None else jax.random.split(key, count)
    updates = jax.lax.map(lambda batch: update(zeros, *batch), (batches, keys))
    mean = jax.tree.map(lambda leaf: leaf.mean(0), updates)
    first = jax.tree.map(lambda leaf: leaf[0], (batches, keys))
    ones = jax.tree.map(jnp.ones_like, moments)
    _, momenta = jax.jvp(lambda moments: update(moments, *first), (zeros,), (ones,))
    return merge(jax.tree.map(remove_momentum, mean, momenta, moments), rest)


def remove_momentum(update: jax.Array, momentum: jax.Array, current: jax.Array) -> jax.Array:
    """Returns `update / (1 - momentum)`, or the current value of statistics that do not change."""
    weight = 1.0 - momentum
    # 1 - m loses digits to rounding; they are recovered if it is a short decimal.
    rounded = jnp.round(weight, DECIMALS)
    weight = jnp.where(jnp.abs(weight - rounded) < 1e-7, rounded, weight)
    is_frozen = weight == 0
    return jnp.where(is_frozen, current, update / jnp.where(is_frozen, 1.0, weight))
