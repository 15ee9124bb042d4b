"""The method that shrinks a batch's smallest singular values while a run fine-tunes."""

import dataclasses

import jax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_count
from mtl_jax.core.views import View
from mtl_jax.losses.target_type import ALL_TYPES
from mtl_jax.transfer.bss import bss
from mtl_jax.transfer.source_views import Seen, require_held


@dataclasses.dataclass(frozen=True)
class BSS:
    """Batch spectral shrinkage of the features, `sum_{i<=k} s_{-i}^2`, see `bss`.

    One number for the batch. Labels are not read: missing ones do not matter. It needs no
    source. Gradients flow into the features.

    Attributes:
      weight: eta, of the sum.
      k: how many singular values, at most min(n, D) of n images and D features.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range; when traced, for a k above min(n, D).

    Reference: Chen et al., Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
      Shrinkage for Safe Transfer Learning, NeurIPS 2019, the section on batch spectral shrinkage
      (https://papers.nips.cc/paper/2019/hash/c6bff625bdb0393992c9d4db0c6bbe45-Abstract.html).
    """

    weight: float = 1e-3
    k: int = 1
    view: Seen = "labelled"

    target_types = ALL_TYPES

    def __post_init__(self):
        require_held(self)
        require_count(self, k=1)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (self.view,)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        return bss(views.features[self.view], self.k)[None], state, {}
