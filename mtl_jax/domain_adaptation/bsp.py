"""Batch spectral penalization (BSP): penalizes the largest singular values of the features."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_floats


def spectral_penalty(features: jax.Array, *, largest: int = 1) -> jax.Array:
    """Sum of the squared largest singular values of a batch, `sum_{i <= k} s_i(F)^2`.

    Add it to an adversarial loss for the source and for the target, each on its own batch; TLLib's
    weight is 2e-4. Computed as the largest eigenvalues of the smaller of `F F'` and `F' F`.
    Gradients with respect to the features, `2 s u v'`.

    Degenerate gradients: for equal singular values, the gradient is one of the subgradients.

    Args:
      features: features F, `[N, D]`, not centred.
      largest: number of singular values k, at least 1.

    Returns:
      The penalty `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match, or there are fewer singular values (when
        traced).

    Reference: Chen et al., Transferability vs. Discriminability: Batch Spectral Penalization
      for Adversarial Domain Adaptation, ICML 2019, batch spectral penalization
      (https://proceedings.mlr.press/v97/chen19i.html).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> features = jnp.diag(jnp.array([3.0, 2.0, 1.0]))  # singular values 3, 2 and 1
      >>> round(float(domain_adaptation.spectral_penalty(features, largest=2)), 3)
      13.0
    """
    require_floats("spectral_penalty", features)
    if features.ndim != 2 or not 1 <= largest <= min(features.shape):
        raise ValueError(
            f"spectral_penalty needs features [N, D] with at least {largest} singular values, "
            f"at least one of them, not {features.shape}"
        )
    rows = features if features.shape[0] <= features.shape[1] else features.T
    eigenvalues = jnp.linalg.eigvalsh(jnp.matmul(rows, rows.T, precision="highest"))
    return eigenvalues[-largest:].sum()
