"""Correlation alignment: two batches whose covariances agree, and if wished their means."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_features


def coral(source: jax.Array, target: jax.Array) -> jax.Array:
    """Distance of two covariances, `|C_s - C_t|_F^2 / (4 D^2)`.

    `C = sum_i (f_i - m)(f_i - m)' / (N - 1)`. Means are not compared: a shift costs nothing.
    Gradients flow into both; a batch of equal examples has covariance 0 and gradient 0.

    Args:
      source: features `[B, D]`, at least two.
      target: features `[U, D]`, at least two.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: Sun and Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation,
      ECCV Workshops 2016, Section 3.1, Eq. 1 (https://arxiv.org/abs/1607.01719).
    """
    require_features("coral", source, target, least=2)
    return jnp.square(covariance(source) - covariance(target)).mean() / 4.0


def coral_with_means(source: jax.Array, target: jax.Array) -> jax.Array:
    """Distance of means and covariances, `1/D |m_s - m_t|^2 + 1/D^2 |C_s - C_t|_F^2`.

    The part of the covariances is four times `coral`. Gradients flow into both.

    Args:
      source: features `[B, D]`, at least two.
      target: features `[U, D]`, at least two.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

    Reference: as `coral`; this form is TLLib's `CorrelationAlignmentLoss`
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    require_features("coral_with_means", source, target, least=2)
    means = jnp.square(source.mean(0) - target.mean(0)).mean()
    return means + jnp.square(covariance(source) - covariance(target)).mean()


def covariance(features: jax.Array) -> jax.Array:
    """Covariance `[D, D]` of a batch `[N, D]`, without bias."""
    centred = features - features.mean(0)[None]
    return jnp.matmul(centred.T, centred, precision="highest") / (len(features) - 1)
