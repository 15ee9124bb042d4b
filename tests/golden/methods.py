"""Which method here stands for which name of the reference values of balancing."""

import jax
import jax.numpy as jnp

from mtl_jax.aggregation import (
    CRMOGM,
    IMTLG,
    MGDA,
    PCD,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualProj,
    ExcessMTL,
    FairGrad,
    GradVac,
    Krum,
    MoDo,
    NashMTL,
    SDMGrad,
    TrimmedMean,
    UPGrad,
)
from mtl_jax.aggregation.gradvac import gradvac_weights
from mtl_jax.aggregation.pcgrad import pcgrad_weights
from mtl_jax.solvers.quadratic import check_square
from mtl_jax.weighting import Equal

KEY = jax.random.key(0)


def equal(gram):
    check_square(gram)
    return Equal().weigh_losses(gram[0], (), KEY)[0]


def first(method):
    """Weights of a method's first step."""
    return lambda gram: method.weigh_gram(gram, method.init(len(gram)), KEY)[0]


def crossed(method):
    """A method on two batches, given the same one twice, and the weights of a step."""
    return lambda rows, state: method.weigh_cross(rows @ rows.T, state, KEY)


def in_index_order(gram):
    return pcgrad_weights(gram, jnp.tile(jnp.arange(len(gram)), (len(gram), 1)))


def vaccination(rows, state):
    orders = jnp.tile(jnp.arange(len(rows)), (len(rows), 1))
    return gradvac_weights(rows @ rows.T, state, orders, 0.5)


def first_vaccination(gram):
    orders = jnp.tile(jnp.arange(len(gram)), (len(gram), 1))
    return gradvac_weights(gram, GradVac().init(len(gram)), orders, 0.5)[0]


def krum(gram):
    """The reference values are for `(K - 3) // 2` tasks that may be anything."""
    return first(Krum(num_byzantine=max((len(gram) - 3) // 2, 0)))(gram)


def steps_of(method):
    """A step of a method on Jacobians."""
    return lambda rows, state: method.weigh_gram(rows @ rows.T, state, KEY)


EXCESS = ExcessMTL(step_size=0.01)


def excess_at_first(rows):
    """The reference's first step takes the excess itself, where `ExcessMTL` takes 1."""
    state = EXCESS.init(len(rows), rows[0])
    return state._replace(log_weights=jax.nn.log_softmax(0.01 * abs(jnp.array(rows)).sum(1)))


def excess_step(rows, state):
    return EXCESS.combine(rows, state, KEY)[1:]


# Name in the file -> weights of a Gram matrix, and the relative tolerance.
GRAM = {
    "mean": (lambda gram: equal(gram) / len(gram), 1e-6),
    "sum": (equal, 1e-6),
    "pcgrad": (in_index_order, 1e-6),
    "mgda": (lambda gram: MGDA().weigh_gram(gram, (), KEY)[0], 1e-6),
    "upgrad": (lambda gram: UPGrad().weigh_gram(gram, (), KEY)[0], 1e-4),
    "imtl_g": (first(IMTLG()), 1e-6),
    "config": (first(ConFIG()), 1e-6),
    "aligned_mtl": (first(AlignedMTL()), 1e-6),
    "aligned_mtl_median": (first(AlignedMTL(scale_mode="median")), 1e-6),
    "dualproj": (first(DualProj()), 1e-4),
    "gradvac": (first_vaccination, 1e-6),
    "krum": (krum, 1e-12),
    "pcd": (first(PCD()), 1e-5),
    "nash_mtl": (first(NashMTL()), 1e-6),
    "fairgrad_1": (first(FairGrad(alpha=1.0)), 1e-4),
    "fairgrad_2": (first(FairGrad(alpha=2.0)), 1e-4),
    "cagrad": (first(CAGrad(c=0.4)), 1e-4),
    "sdmgrad": (lambda gram: SDMGrad().weigh_cross(gram, SDMGrad().init(len(gram)), KEY)[0], 1e-4),
}
# Name -> direction of a Jacobian `[K, p]`, for methods that have no weights; the tolerance.
JACOBIAN = {
    "trimmed_mean": (lambda rows: TrimmedMean().combine(rows, (), KEY)[0], 1e-12),
}
# Name -> state before the first step by `[K, p]`, a step `(jacobian, state) -> (weights, state)`,
# and the relative tolerance.
SEQUENCE = {
    "gradvac": (lambda rows: GradVac().init(len(rows)), vaccination, 1e-6),
    "pcd": (lambda rows: PCD().init(len(rows)), steps_of(PCD()), 1e-5),
    "excess_mtl": (excess_at_first, excess_step, 1e-6),
    "cr_mogm_upgrad": (lambda rows: CRMOGM().init(len(rows)), steps_of(CRMOGM()), 1e-4),
    "sdmgrad": (lambda rows: SDMGrad().init(len(rows)), crossed(SDMGrad()), 1e-4),
    "modo": (lambda rows: MoDo().init(len(rows)), crossed(MoDo(learning_rate=0.1)), 1e-6),
}
