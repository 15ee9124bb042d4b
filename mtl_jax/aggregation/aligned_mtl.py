"""Aligned-MTL: gradients turned and stretched until they are orthogonal and equally long."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import check_preference, preferences
from mtl_jax.core.validation import require_choice
from mtl_jax.solvers.quadratic import Spectrum, check_square, eigen, product, unit_scale


@dataclasses.dataclass(frozen=True)
class AlignedMTL:
    """Independent component alignment: `w = sigma V l^{-1/2} V' u` for `G = V l V'`.

    The weights make `J'w` the combination by u of orthogonal vectors of length sigma, the
    closest such ones to the gradients (Procrustes). They do not change if all gradients are
    scaled alike; some may be negative, and d may conflict with a task. Eigenvalues of at most
    `K epsilon` of the largest count as zero and are left out, in the scale too: in float32 a
    gradient some thousand times shorter than the longest has no say.

    The reference code takes all ones for u; here it is `1/K` each, so that the weights are of
    the size of a mean's. It calls the root of the mean eigenvalue "rmse"; so does this.

    Degenerate gradients: a zero one gets weight 0; duplicates share a weight; of opposed ones
    the longer wins, none if they are equal; all zero, `w = u`; for K = 1 the weight is u. A NaN
    or an infinity in G makes all weights NaN. No gradient flows into G. The reference weighs
    shared parameters; heads keep their own gradient.

    Attributes:
      scale_mode: sigma is the root of the smallest ("min"), of the "median" (the lower of two),
        or of the mean ("rmse") of the eigenvalues kept.
      preference: u, one number for each task; None is `1/K` each.

    Raises:
      BadInput: for another mode, a preference that is no tuple of numbers of at least 0, or one
        that has not K of them.

    Reference: Senushkin et al., Independent Component Alignment for Multi-Task Learning, CVPR
      2023, Algorithm 1 (https://arxiv.org/abs/2305.19000).
    """

    scale_mode: Literal["min", "median", "rmse"] = "min"
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        require_choice(self, scale_mode=("min", "median", "rmse"))
        check_preference(self)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        preferences(self, num_tasks)
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        wanted = jnp.array(preferences(self, len(gram)), gram.dtype)
        spectrum = eigen(unit_scale(jax.lax.stop_gradient(gram)))
        kept, square = spectrum.kept, typical(spectrum, self.scale_mode)
        stretch = jnp.where(kept, jnp.sqrt(square / jnp.where(kept, spectrum.values, 1.0)), 0.0)
        weights = product(spectrum.vectors, stretch * product(spectrum.vectors.T, wanted))
        weights = jnp.where(kept.any(), weights, wanted)
        # Eigenvalues of a matrix with a NaN may be anything.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def typical(spectrum: Spectrum, mode: str) -> jax.Array:
    """The eigenvalue `[]` that all are brought to; those kept are the last ones."""
    size, count = len(spectrum.values), spectrum.kept.sum()
    if mode == "rmse":
        return spectrum.values.sum(where=spectrum.kept) / jnp.maximum(count, 1).astype(
            spectrum.values.dtype
        )
    place = size - count + ((count - 1) // 2 if mode == "median" else 0)
    return spectrum.values[jnp.minimum(place, size - 1)]
