"""Learning from unlabelled views: logits of two views to a loss for each example."""

from mtl_jax.consistency.fixmatch import FixMatch as FixMatch
from mtl_jax.consistency.fixmatch import fixmatch as fixmatch
from mtl_jax.consistency.freematch import FreeMatch as FreeMatch
