"""BatchNorm's statistics computed anew, for parameters that no training has led to."""

import jax
import jax.numpy as jnp

from mtl_jax.core.model import Net, without_heads
from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import merge, paths, split
from mtl_jax.core.validation import BadInput

PLACES = 5  # Decimals of a momentum that are told from rounding.


def recompute(
    net: Net, params: Tree, stats: Tree, batches: jax.Array, key: jax.Array | None = None
) -> Tree:
    """Statistics of a net's BatchNorms for its parameters, the mean over batches.

    `mean = 1/M sum_m mean_m` and `var = 1/M sum_m var_m`, of each norm's inputs in batch m of M,
    every batch in training mode, so that deeper norms see inputs normalised by their batch. Those
    given do not count. Needed after `uniform_soup` and its like, whose statistics are of no net. The
    variance leaves out how the means of batches differ; batches should be as large as in training.

    A net moves statistics s by a momentum that it does not tell, `s' = m s + (1 - m) batch`. Here
    s starts at 0 and m is the derivative of s', so any net will do whose statistics move so. A
    momentum of at most five decimals is found exactly, any other to single precision, which
    at m = 0.999 tells the batch to 3e-5 of itself. A norm that runs several times in a pass, as
    those of `nets.AdaShare`, takes their mean, in which each counts 1/m of the one before it.

    A BatchNorm that is frozen keeps what was given, and so does all that is not named `mean` or
    `var`, as counts of steps. For `nets.StochNorm` compose its trunk, which has the same
    parameters.

    Args:
      net: of `nets.compose`.
      params: with or without heads; as they are trained or averaged.
      stats: of the net, any values.
      batches: inputs `[M, B, ...]`, each batch as long: a partial one at the end, which would
        count as much as the others, is left out by the caller.
      key: for nets that draw in training.

    Returns:
      The statistics, of the same outline and dtypes. Parameters stay as they are.

    Raises:
      BadInput: if the net has no BatchNorm, or there is no batch.

    Reference: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization,
      UAI 2018, its section on batch normalization (https://arxiv.org/abs/1803.05407).
    """
    count = jax.tree.leaves(batches)[0].shape[0]
    names = [name.rpartition("/")[2] in ("mean", "var") for name in paths(stats)]
    if not any(names) or not count:
        raise BadInput("recompute needs a net with BatchNorm, and at least one batch")
    chosen = jax.tree.unflatten(jax.tree.structure(stats), names)
    own, rest = split(stats, chosen)
    blank = jax.tree.map(jnp.zeros_like, own)
    params = without_heads(params)

    def moved(own, x, key):
        _, after = net.encode(params, merge(own, rest), x, train=True, key=key)
        return split(after, chosen)[0]

    def taken(drawn):
        return moved(blank, *drawn)

    keys = None if key is None else jax.random.split(key, count)
    mean = jax.tree.map(lambda leaf: leaf.mean(0), jax.lax.map(taken, (batches, keys)))
    first = jax.tree.map(lambda leaf: leaf[0], (batches, keys))
    ones = jax.tree.map(jnp.ones_like, own)
    _, momenta = jax.jvp(lambda own: moved(own, *first), (blank,), (ones,))
    return merge(jax.tree.map(unmixed, mean, momenta, own), rest)


def unmixed(moved: jax.Array, momentum: jax.Array, given: jax.Array) -> jax.Array:
    """`moved / (1 - momentum)`, or what was given where nothing moves."""
    share = 1.0 - momentum
    # 1 - m loses the digits that m has no room for; a short decimal gives them back.
    short = jnp.round(share, PLACES)
    share = jnp.where(jnp.abs(share - short) < 1e-7, short, share)
    still = share == 0
    return jnp.where(still, given, moved / jnp.where(still, 1.0, share))
