"""Which method here stands for which name of the reference values of balancing."""

import jax
import jax.numpy as jnp

from mtl_jax.aggregation import MGDA, UPGrad
from mtl_jax.aggregation.pcgrad import project
from mtl_jax.solvers import check_square
from mtl_jax.weighting import Equal, uncertainty_value

KEY = jax.random.key(0)


def equal(gram):
    check_square(gram)
    return Equal().weigh_losses(gram[0], (), KEY)[0]


def in_index_order(gram):
    return project(gram, jnp.tile(jnp.arange(len(gram)), (len(gram), 1)))


# Name in the file -> weights of a Gram matrix, and the relative tolerance.
GRAM = {
    "mean": (lambda gram: equal(gram) / len(gram), 1e-6),
    "sum": (equal, 1e-6),
    "pcgrad": (in_index_order, 1e-6),
    "mgda": (lambda gram: MGDA().weigh_gram(gram, (), KEY)[0], 1e-6),
    "upgrad": (lambda gram: UPGrad().weigh_gram(gram, (), KEY)[0], 1e-4),
}
# Name -> state before the first step by `[K, p]`, a step `(jacobian, state) -> (weights, state)`,
# and the relative tolerance.
SEQUENCE = {}

# Name -> the value `(losses, params) -> []` whose derivative by the losses are the weights.
LOSSES = {"uw": lambda losses, params: uncertainty_value(losses, jnp.array(params["log_var"]))}
