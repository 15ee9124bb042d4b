"""Aggregators: from inner products of the tasks' gradients to weights, at K backward passes."""

from mtl_jax.aggregation.mgda import MGDA as MGDA
from mtl_jax.aggregation.pcgrad import PCGrad as PCGrad
from mtl_jax.aggregation.upgrad import UPGrad as UPGrad
