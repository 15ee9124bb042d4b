"""Adaptive feature norm (AFN): increases the feature norms of both domains for transferability."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.domain_adaptation.domain_views import BOTH
from mtl_jax.domain_adaptation.validation import require_floats


@dataclasses.dataclass(frozen=True)
class AFN(AuxiliaryLoss):
    """Adaptive feature norm: increases the feature norms of both domains, `l(f_s) + l(f_t)`.

    l is the mean of `stepwise_feature_norm` or, if a radius is set, `hard_feature_norm`, which has
    no step. The paper's model also has a norm-preserving dropout (`length_preserving_dropout`);
    trunks here do not include it.

    Attributes:
      step: target increase of the feature norm.
      weight: weight of the losses; 0.05 in TLLib.
      radius: target of the mean norm (the hard form); None uses the stepwise form.

    Raises:
      BadInput: if a number is negative.

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, stepwise and hard adaptive feature
      norm (https://arxiv.org/abs/1811.07456).
    """

    step: float = 1.0
    weight: float = 0.05
    radius: float | None = None

    target_types = ALL_TYPES
    per_position = False
    views = BOTH

    def __post_init__(self):
        require_number(self, step=(0.0, math.inf), weight=(0.0, math.inf))
        if self.radius is not None:
            require_number(self, radius=(0.0, math.inf))

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the loss `[]`, no state, and no metrics."""
        return AuxUpdate(
            sum_arrays(self.norm_loss(views.features[view]) for view in BOTH), state, {}
        )

    def norm_loss(self, features: jax.Array) -> jax.Array:
        """Loss `[]` of the features of one domain."""
        if self.radius is None:
            return stepwise_feature_norm(features, step=self.step).mean()
        return hard_feature_norm(features, radius=self.radius)


def stepwise_feature_norm(features: jax.Array, *, step: float = 1.0) -> jax.Array:
    """Stepwise adaptive feature norm, `(|f| - stop(|f|) - step)^2`: increases the norm by a step.

    The value is always `step^2`; only the gradient is informative: `-2 step f / |f|`. Add it for
    the source and for the target.

    Degenerate gradients: a zero vector has no direction and gets gradient 0.

    Args:
      features: features f, `[..., D]`.
      step: target increase of the norm.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: if the features are not floats `[..., D]` (when traced).

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, stepwise adaptive feature norm
      (https://arxiv.org/abs/1811.07456).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> loss = lambda f: domain_adaptation.stepwise_feature_norm(f, step=2.5).sum()
      >>> jax.grad(loss)(jnp.array([[3.0, 4.0]])).tolist()  # -2 step f / |f|
      [[-3.0, -4.0]]
    """
    require_vectors("stepwise_feature_norm", features)
    norms = norm(features)
    return jnp.square(norms - jax.lax.stop_gradient(norms) - step)


def hard_feature_norm(features: jax.Array, *, radius: float = 25.0) -> jax.Array:
    """Hard adaptive feature norm, `(mean_i |f_i| - R)^2`: pulls the mean norm to a radius.

    Add it for the source and for the target.

    Degenerate gradients: a zero vector gets gradient 0.

    Args:
      features: features f, `[N, D]`.
      radius: the radius R; 25 in the authors' code.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if the features are not floats `[..., D]` (when traced).

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, hard adaptive feature norm
      (https://arxiv.org/abs/1811.07456).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> float(domain_adaptation.hard_feature_norm(jnp.array([[3.0, 4.0]]), radius=3.0))
      4.0
    """
    require_vectors("hard_feature_norm", features)
    return jnp.square(norm(features).mean() - radius)


def length_preserving_dropout(
    key: jax.Array, features: jax.Array, *, rate: float = 0.5
) -> jax.Array:
    """Dropout that preserves the mean `|f|^2`, `f m / sqrt(1 - rate)`, `m ~ Bernoulli(1 - rate)`.

    Standard dropout divides by `1 - rate` and preserves the mean of f, which increases norms. Use
    it only in training; in evaluation, features are unchanged.

    Args:
      key: random key of the mask.
      features: features f, `[..., D]`.
      rate: probability that an entry is dropped, in [0, 1).

    Returns:
      The features `[..., D]`.

    Raises:
      ValueError: if the rate is out of range, or the features are not floats `[..., D]` (when
        traced).

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, implementation
      (https://arxiv.org/abs/1811.07456).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.domain_adaptation import length_preserving_dropout
      >>> features = length_preserving_dropout(jax.random.key(0), jnp.ones(1000), rate=0.75)
      >>> sorted({*features.tolist()})  # 1 / sqrt(1 - rate) where an entry is not dropped
      [0.0, 2.0]
    """
    require_vectors("length_preserving_dropout", features)
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"length_preserving_dropout needs a rate from 0 to below 1, not {rate!r}")
    mask = jax.random.bernoulli(key, 1.0 - rate, features.shape)
    return jnp.where(mask, features / (1.0 - rate) ** 0.5, 0.0)


def norm(features: jax.Array) -> jax.Array:
    """Norm `|f|` over the last axis, with gradient 0 at 0."""
    squares = jnp.square(features).sum(-1)
    nonzero = squares != 0  # True for NaN, which must not be hidden.
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squares, 1.0)), 0.0)


def require_vectors(name: str, features: jax.Array) -> None:
    """Requires floats `[..., D]`."""
    require_floats(name, features)
    if features.ndim == 0:
        raise ValueError(f"{name} needs features [..., D], not a scalar")
