"""Views of mixed images: mixup, and CutMix by two distributions of rectangles."""

import dataclasses
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.base_views import require_base_views, stream_name
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import are_numbers, require, require_choice, require_number


class MixParams(NamedTuple):
    """Partners and mixing coefficients of a mixed view."""

    partner: jax.Array  # [n]
    ratio: jax.Array  # [n], lambda; at least 1/2 if `keep_dominant`
    ratio_map: jax.Array | None = None  # [n, H, W], of each pixel, for CutMix

    def ratio_at(self, shape: tuple[int, ...]) -> jax.Array:
        """Coefficients `[n, *shape]` at the positions of outputs, 0 or 1 in a map of CutMix."""
        if self.ratio_map is None or len(shape) != 2:
            ratio = self.ratio.reshape(-1, *(1,) * len(shape))
            return jnp.broadcast_to(ratio, (len(self.ratio), *shape))
        return jax.image.resize(self.ratio_map, (len(self.ratio), *shape), "nearest")


@typechecked
@dataclasses.dataclass(frozen=True)
class MixedView:
    """Images of some base views, mixed: `r x_i + (1 - r) x_j`.

    j is a random permutation of the concatenated views; r follows Beta(alpha, alpha), sampled
    per example or once per batch. The samples are stored in `AuxInputs.view_params`, as a
    `MixParams`.

    Attributes:
      views: base views, concatenated.
      alpha: parameter of the Beta distribution.
      kind: "mixup" interpolates images, "cutmix" pastes a rectangle of one into the other.
      keep_dominant: whether r is `max(r, 1 - r)`.
      per_example: whether r is sampled per example.
      fixed_lambda: a constant r; requires two views, and j is the example of the other view at
        the same index.

    Raises:
      BadInput: for no view, one that is not a base view, or a value out of range.

    Reference: Zhang et al., mixup, ICLR 2018, Eq. 1 (https://arxiv.org/abs/1710.09412); Yun et
      al., CutMix, ICCV 2019, Eq. 1 (https://arxiv.org/abs/1905.04899); `max(r, 1 - r)` is
      MixMatch's, Berthelot et al., NeurIPS 2019, Eq. 9 (https://arxiv.org/abs/1905.02249).
    """

    views: tuple[str, ...]
    alpha: float = 0.75
    kind: Literal["mixup", "cutmix"] = "mixup"
    keep_dominant: bool = True
    per_example: bool = True
    fixed_lambda: float | None = None

    def __post_init__(self):
        require_base_views(self, "views")
        require_number(self, alpha=(1e-6, math.inf))
        require_choice(self, kind=("mixup", "cutmix"))
        if self.fixed_lambda is not None:
            require_number(self, fixed_lambda=(0.0, 1.0))
            require(len(self.views) == 2, self, "views", "must be two", self.views)
            require_choice(self, kind=("mixup",))

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        own = (self.alpha, self.kind, self.keep_dominant, self.per_example, self.fixed_lambda)
        return stream_name("mixed", *self.views, *own)


@typechecked
@dataclasses.dataclass(frozen=True)
class CutMixView:
    """Images of a base view, each with a rectangle of another of them, at its place.

    The partner is by a random permutation of the view. The rectangle's area is a uniform
    fraction of the image, the ratio of its sides, in units of the image's, is log-uniform, as
    far as it fits, and all its positions inside the image are equally likely. The samples are
    stored in `AuxInputs.view_params`, as a `MixParams`.

    Attributes:
      view: the base view.
      area: smallest and largest fraction of the image.
      aspect: largest ratio of the sides, and the inverse of the smallest.
      probability: of a rectangle; an image without one stays as it is.

    Raises:
      BadInput: if it is not a base view, or for a value out of range.

    Reference: French et al., Semi-supervised Semantic Segmentation Needs Strong, Varied
      Perturbations, BMVC 2020, Section 3 (https://arxiv.org/abs/1906.01916), with half of the
      area, a ratio of at most 2 and always a rectangle; the defaults are those of the authors'
      code of UniMatch, Yang et al., CVPR 2023 (https://arxiv.org/abs/2208.09910), where the ratio
      is uniform.
    """

    view: str = "strong"
    area: tuple[float, float] = (0.02, 0.4)
    aspect: float = 1 / 0.3
    probability: float = 0.5

    def __post_init__(self):
        require_base_views(self, "view")
        valid = are_numbers(self.area) and len(self.area) == 2
        valid = valid and 0.0 < self.area[0] <= self.area[1] <= 1.0
        require(valid, self, "area", "must be two increasing numbers in (0, 1]", self.area)
        require_number(self, aspect=(1.0, math.inf), probability=(0.0, 1.0))

    @property
    def views(self) -> tuple[str, ...]:
        """The base views it is computed from."""
        return (self.view,)

    @property
    def stream_name(self) -> str:
        """Its key in `AuxInputs` and the name of its random stream."""
        return stream_name("cutmix", self.view, *self.area, self.aspect, self.probability)
