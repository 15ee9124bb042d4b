"""Aligned-MTL: aligns the gradients' principal components to be orthogonal and of equal norm."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import preferences, require_preference
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_choice
from mtl_jax.solvers.quadratic import Spectrum, check_square, matvec, normalize_gram, psd_eigh


@dataclasses.dataclass(frozen=True)
class AlignedMTL(GramWeighting):
    """Independent component alignment: `w = sigma V l^{-1/2} V' u` for `G = V l V'`.

    With these weights `J'w` is the u-weighted combination of orthogonal vectors of norm sigma that
    are closest to the gradients (Procrustes). The weights are invariant to scaling all gradients by
    the same factor; some may be negative, and d may conflict with a task. Eigenvalues of at most
    `K epsilon` times the largest are treated as zero and dropped, also in the scale: in float32 a
    gradient whose norm is about a thousand times smaller than the largest has no effect.

    The reference code uses u = 1 for all tasks; here the default is `1/K`, so that the weights have
    the scale of a mean. It calls the root of the mean eigenvalue "rmse"; so does this class.

    Degenerate gradients: a zero gradient gets weight 0; duplicates share a weight; of two opposed
    gradients the larger wins, and neither if they are equal; if all are zero, `w = u`; for K = 1
    the weight is u. A NaN or infinity in G makes all weights NaN. There is no gradient with respect
    to G. As in the reference, only gradients of shared parameters are weighted; heads keep their
    own gradients.

    Attributes:
      scale_mode: sigma is the square root of the smallest ("min"), "median" (the lower of two), or
        mean ("rmse") of the retained eigenvalues.
      preference: u, one number per task; None means `1/K` each.

    Raises:
      BadInput: for an unknown mode, a preference that is not a tuple of non-negative numbers, or
        one whose length is not K.

    Reference: Senushkin et al., Independent Component Alignment for Multi-Task Learning, CVPR
      2023, Algorithm 1 (https://arxiv.org/abs/2305.19000).
    """

    scale_mode: Literal["min", "median", "rmse"] = "min"
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        require_choice(self, scale_mode=("min", "median", "rmse"))
        require_preference(self)

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        preferences(self, num_tasks)
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        preference = jnp.array(preferences(self, len(gram)), gram.dtype)
        spectrum = psd_eigh(normalize_gram(jax.lax.stop_gradient(gram)))
        nonzero, target = spectrum.nonzero, target_eigenvalue(spectrum, self.scale_mode)
        ratio = target / jnp.where(nonzero, spectrum.values, 1.0)
        scale = jnp.where(nonzero, jnp.sqrt(ratio), 0.0)
        weights = matvec(spectrum.vectors, scale * matvec(spectrum.vectors.T, preference))
        weights = jnp.where(nonzero.any(), weights, preference)
        # Eigenvalues of a matrix that contains NaN are undefined.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def target_eigenvalue(spectrum: Spectrum, mode: str) -> jax.Array:
    """Common target eigenvalue `[]`; the retained eigenvalues are the last ones."""
    size, count = len(spectrum.values), spectrum.nonzero.sum()
    if mode == "rmse":
        return spectrum.values.sum(where=spectrum.nonzero) / jnp.maximum(count, 1).astype(
            spectrum.values.dtype
        )
    index = size - count + ((count - 1) // 2 if mode == "median" else 0)
    return spectrum.values[jnp.minimum(index, size - 1)]
