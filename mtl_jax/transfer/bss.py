"""Batch spectral shrinkage (BSS): penalizes the smallest singular values of the features."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import promote_float32
from mtl_jax.core.validation import require, require_int
from mtl_jax.core.views import View
from mtl_jax.transfer.source_views import ImageView, require_weight_and_view


@dataclasses.dataclass(frozen=True)
class BSS(AuxiliaryLoss):
    """Batch spectral shrinkage of the features, `sum_{i<=k} s_{-i}^2`, see `bss`.

    A single value for the batch. Labels are not used, so missing labels do not matter. No source
    model is required. Gradients with respect to the features.

    Attributes:
      weight: eta, the weight of the sum.
      k: number of singular values, at most min(n, D) for n images and D features.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range; when traced, if k is above min(n, D).

    Reference: Chen et al., Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
      Shrinkage for Safe Transfer Learning, NeurIPS 2019, the section on batch spectral shrinkage
      (https://papers.nips.cc/paper/2019/hash/c6bff625bdb0393992c9d4db0c6bbe45-Abstract.html).

    Example:
      >>> from mtl_jax import transfer
      >>> transfer.BSS(k=2, view="weak").views  # No source model is required.
      ('weak',)
    """

    weight: float = 1e-3
    k: int = 1
    view: ImageView = "labelled"

    target_types = ALL_TYPES
    per_position = False

    def __post_init__(self):
        require_weight_and_view(self)
        require_int(self, k=1)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return (self.view,)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        return AuxUpdate(bss(views.features[self.view], self.k)[None], state, {})


def bss(features: jax.Array, k: int = 1) -> jax.Array:
    """Batch spectral shrinkage, `sum_{i<=k} s_{-i}^2`: the k smallest singular values, squared.

    The gradient is `2 sum_i s_i u_i v_i^T` over those k. TLLib uses a weight of 1e-3.

    Degenerate gradients: for repeated singular values, the gradient is that of one choice among
    them, and it is 0 where they vanish, so it is always finite. Only first derivatives are correct,
    since the singular vectors are treated as constants.

    Args:
      features: features of a batch, floats `[N, D]`, the inputs of the head.
      k: number of singular values, at most min(N, D).

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if `features` is not a matrix (when traced).
      BadInput: if k is not between 1 and min(N, D).

    Reference: Chen et al., Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
      Shrinkage for Safe Transfer Learning, NeurIPS 2019, the section on batch spectral shrinkage
      (https://papers.nips.cc/paper/2019/hash/c6bff625bdb0393992c9d4db0c6bbe45-Abstract.html).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> features = jnp.diag(jnp.array([3.0, 2.0, 1.0]))  # singular values 3, 2 and 1
      >>> round(float(transfer.bss(features, k=2)), 3)
      5.0
    """
    if features.ndim != 2:
        raise ValueError(f"bss needs features [N, D], not {features.shape}")
    max_k = min(features.shape)
    rule = f"must be an integer from 1 to min(N, D) = {max_k}"
    require(type(k) is int and 1 <= k <= max_k, "bss", "k", rule, k)
    # Eigenvectors are not computed in half precision.
    rows = promote_float32(features if len(features) == max_k else features.T)
    # The Gram matrix squares the features; without scaling, it would under- or overflow.
    fixed = jax.lax.stop_gradient(rows)
    scale = jnp.abs(fixed).max()
    scaled = fixed / jnp.where(scale == 0, 1.0, scale)
    _, basis = jnp.linalg.eigh(jnp.matmul(scaled, scaled.T, precision="highest"))
    # Norms of s_i v_i^T are accurate to epsilon, eigenvalues only to epsilon times the largest one.
    # Only the span of the first k vectors matters, so no gradient through `eigh` is needed.
    projections = jnp.matmul(basis[:, :k].T, rows, precision="highest")
    return jnp.square(projections).sum().astype(features.dtype)
