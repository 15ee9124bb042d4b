"""ProjectionHead: embeddings of examples as unit vectors, by the method's own heads."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require_int
from mtl_jax.core.views import View

# Norm below which a vector has no direction.
MIN_NORM = 1e-12


@dataclasses.dataclass(frozen=True)
class ProjectionHead:
    """Embeddings `z = h / |h|` of the features, with h the output of an MLP with one hidden layer.

    With several heads, h is their mean ("ensemble projectors"), which is compared and stored in
    memories. A zero h stays 0, with zero gradient.

    Attributes:
      size: dimension of an embedding, D.
      count: number of heads; EPASS has 3.

    Raises:
      BadInput: for a size or a count below 1.

    Reference: Li et al., CoMatch, ICCV 2021, Section 3 (https://arxiv.org/abs/2011.11183);
      several: Nguyen, EPASS, WACV 2024 (https://arxiv.org/abs/2310.15764).

    Example:
      >>> from mtl_jax import consistency
      >>> projection = consistency.ProjectionHead(32, count=2)
      >>> consistency.CoMatch(projection=projection).aux_heads(10)
      {'projection': AuxHead(outputs=32, hidden=1), 'projection2': AuxHead(outputs=32, hidden=1)}
    """

    size: int = 64
    count: int = 1

    def __post_init__(self):
        require_int(self, size=1, count=1)

    def heads(self) -> dict[str, AuxHead]:
        """The heads it reads."""
        return dict.fromkeys(self.names, AuxHead(self.size, hidden=1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads."""
        return ("projection", *(f"projection{index}" for index in range(2, self.count + 1)))

    def __call__(self, views: AuxInputs, view: View) -> jax.Array:
        """Embeddings `[n, D]` of a view, with gradients with respect to the heads."""
        return unit(sum_arrays(views.outputs(view, name) for name in self.names))


def unit(vectors: jax.Array) -> jax.Array:
    """Vectors `[..., D]` scaled to norm 1; those with norm below 1e-12 become 0."""
    squares = jnp.square(vectors).sum(-1, keepdims=True)
    # Both branches finite, or the gradient at 0 is NaN.
    nonzero = squares > MIN_NORM**2
    return vectors * jnp.where(nonzero, jax.lax.rsqrt(jnp.where(nonzero, squares, 1.0)), 0.0)
