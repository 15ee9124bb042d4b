"""Soft sharing: parameters with a leading task axis to a scalar that draws tasks together."""

from mtl_jax.sharing.mean_l2 import MeanL2 as MeanL2
from mtl_jax.sharing.mean_l2 import mean_l2 as mean_l2
from mtl_jax.sharing.trace_norm import TraceNorm as TraceNorm
from mtl_jax.sharing.trace_norm import trace_norm as trace_norm
