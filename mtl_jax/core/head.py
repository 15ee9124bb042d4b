"""Base class of task heads."""

from typing import Any, ClassVar

from mtl_jax.core.features import FeatureType


class Head:
    """A head `(features, train) -> outputs [N, ..., C]`; a Flax module extends this class.

    Outputs are one array, or a dict of arrays for a loss that takes a dict. BatchNorms update
    their statistics in training, and random operations take the stream "draw".

    Attributes:
      num_outputs: number of outputs C at each position, such as classes; a field of the module.
      reads: feature types that it reads (`mtl_jax.core.features`); None for any.
      reads_positions: whether it also maps the features of single positions `[M, D]` to their
        outputs `[M, C]`, without statistics or randomness, as methods that apply a head ask.

    Example:
      >>> import flax.linen as nn
      >>> from mtl_jax.core.head import Head
      >>> class Bilinear(Head, nn.Module):
      ...     num_outputs: int
      ...     reads = ("vector",)
      ...
      ...     @nn.compact
      ...     def __call__(self, features, *, train):
      ...         return nn.Dense(self.num_outputs)(features) * nn.Dense(self.num_outputs)(features)
    """

    reads: ClassVar[tuple[FeatureType, ...] | None] = None
    reads_positions: ClassVar[bool] = False

    num_outputs: int

    def __call__(self, features: Any, *, train: bool) -> Any:
        """Maps features to outputs."""
        raise NotImplementedError
