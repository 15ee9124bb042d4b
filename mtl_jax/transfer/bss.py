"""BSS: hold down the directions in which features hardly vary."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import wide
from mtl_jax.core.validation import require


def bss(features: jax.Array, k: int = 1) -> jax.Array:
    """Batch spectral shrinkage, `sum_{i<=k} s_{-i}^2`: the k smallest singular values, squared.

    The gradient is `2 sum_i s_i u_i v_i^T` over those k. Where singular values repeat it is
    that of some choice among them, and it is 0 where they vanish: always finite. Only the first
    derivative is right, since the directions are held fixed. TLLib weighs it by 1e-3.

    Args:
      features: of a batch, floats `[N, D]`, before the head.
      k: how many, at most min(N, D).

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if `features` is no matrix, when traced.
      BadInput: if k is not between 1 and min(N, D).

    Reference: Chen et al., Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
      Shrinkage for Safe Transfer Learning, NeurIPS 2019, the section on batch spectral shrinkage
      (https://papers.nips.cc/paper/2019/hash/c6bff625bdb0393992c9d4db0c6bbe45-Abstract.html).
    """
    if features.ndim != 2:
        raise ValueError(f"bss needs features [N, D], not {features.shape}")
    most = min(features.shape)
    rule = f"must be a whole number from 1 to min(N, D) = {most}"
    require(type(k) is int and 1 <= k <= most, "bss", "k", rule, k)
    # Eigenvectors are not computed in half precision.
    rows = wide(features if len(features) == most else features.T)
    # The Gram squares: without a scale, small or large features would leave the range.
    fixed = jax.lax.stop_gradient(rows)
    scale = jnp.abs(fixed).max()
    scaled = fixed / jnp.where(scale == 0, 1.0, scale)
    _, basis = jnp.linalg.eigh(jnp.matmul(scaled, scaled.T, precision="highest"))
    # Lengths of s_i v_i^T are right to epsilon, the eigenvalues only to epsilon of the largest.
    # Only the k first vectors' span counts, so nothing needs to flow through `eigh`.
    parts = jnp.matmul(basis[:, :k].T, rows, precision="highest")
    return jnp.square(parts).sum().astype(features.dtype)
