"""Per-example losses: any leading shape, no reduction; averaging is left to the caller."""

from mtl_jax.losses.binary import binary_cross_entropy as binary_cross_entropy
from mtl_jax.losses.classify import cross_entropy as cross_entropy
from mtl_jax.losses.regress import squared_error as squared_error
from mtl_jax.losses.targets import kl_divergence as kl_divergence
from mtl_jax.losses.targets import probability_squared_error as probability_squared_error
from mtl_jax.losses.targets import soft_cross_entropy as soft_cross_entropy
