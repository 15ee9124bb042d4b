"""Sums of Gaussian kernels with fixed or adaptive bandwidths."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import are_numbers, require

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class AdaptiveGaussians:
    """Gaussians with data-dependent bandwidths: `k(x, y) = sum_i exp(-|x - y|^2 / (2 a_i m))`.

    m is the mean of `|x_i - x_j|^2` over all pairs of the joint batch, including those of an
    example with itself; no gradient with respect to m.

    Attributes:
      factors: bandwidth factors a_i.

    Raises:
      BadInput: if there are no factors, or not all are between 1e-12 and 1e12.

    Reference: Long et al., Learning Transferable Features with Deep Adaptation Networks, ICML
      2015, experiments, setup (https://arxiv.org/abs/1502.02791); the factors are those of TLLib
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> kernel = domain_adaptation.AdaptiveGaussians(factors=(0.5, 1.0))
      >>> [round(float(kernel(jnp.array(s), jnp.array(1.0))), 3) for s in (0.0, 2.0)]
      [2.0, 0.503]
    """

    factors: tuple[float, ...] = FACTORS

    def __post_init__(self):
        require_positive(self, "factors", self.factors)

    def __call__(self, squares: jax.Array, mean_square: jax.Array) -> jax.Array:
        """Maps squared distances `[...]` and m `[]` to the kernel `[...]`."""
        # If all points coincide, every bandwidth gives 1, with no gradient.
        mean_square = jnp.where(mean_square > 0, mean_square, 1.0)
        return sum_arrays(jnp.exp(squares / (-2.0 * a * mean_square)) for a in self.factors)


@dataclasses.dataclass(frozen=True)
class FixedGaussians:
    """Gaussians of fixed bandwidths: `k(x, y) = sum_i exp(-|x - y|^2 / (2 s_i^2))`.

    Attributes:
      deviations: standard deviations s_i, in the units of the features.

    Raises:
      BadInput: if there are no deviations, or not all are between 1e-12 and 1e12.

    Reference: Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012
      (https://jmlr.org/papers/v13/gretton12a.html); 0.92 is TLLib's for probabilities in joint
      adaptation (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> kernel = domain_adaptation.FixedGaussians(deviations=(1.0,))
      >>> [round(float(kernel(jnp.array(s), jnp.array(1.0))), 3) for s in (0.0, 2.0)]
      [1.0, 0.368]
    """

    deviations: tuple[float, ...] = (0.92,)

    def __post_init__(self):
        require_positive(self, "deviations", self.deviations)

    def __call__(self, squares: jax.Array, mean_square: jax.Array) -> jax.Array:
        """Maps squared distances `[...]` to the kernel `[...]`; m is ignored."""
        return sum_arrays(jnp.exp(squares / (-2.0 * s * s)) for s in self.deviations)


Kernel = AdaptiveGaussians | FixedGaussians


def require_positive(owner: Kernel, field: str, value: tuple[float, ...]) -> None:
    """Requires a tuple of numbers from 1e-12 to 1e12."""
    valid = are_numbers(value) and all(1e-12 <= n <= 1e12 for n in value)
    require(valid, owner, field, "must be a tuple of numbers between 1e-12 and 1e12", value)


def squared_distances(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """`|x_i - y_j|^2` of points `[B, D]` and `[U, D]`, `[B, U]`, by one matrix product.

    Subtract a common center first: the cancellation error is proportional to `|x|^2`.
    """
    inner = jnp.matmul(rows, columns.T, precision="highest")
    squares = jnp.square(rows).sum(1)[:, None] + jnp.square(columns).sum(1)[None, :]
    return jnp.maximum(squares - 2.0 * inner, 0.0)
