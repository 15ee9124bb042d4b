"""Conditional adversarial adaptation (CDAN): discriminator inputs, example weights and the loss."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_int
from mtl_jax.domain_adaptation.discriminator import (
    check_settings,
    domain_accuracy,
    domain_logits,
    spectral,
)
from mtl_jax.domain_adaptation.domain_views import BOTH
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp
from mtl_jax.domain_adaptation.validation import require_alike, require_floats, require_logits


@dataclasses.dataclass(frozen=True)
class CDAN(AuxiliaryLoss):
    """Conditional adversarial adaptation: a discriminator of features times class probabilities.

    Like `DANN`, with `conditional_map(f, z)` or `random_conditional_map` instead of f; with
    `entropy`, examples are weighted by their certainty (CDAN+E). No gradient with respect to the
    logits.

    Attributes:
      widths: widths of the discriminator's hidden layers.
      warm_up: schedule of the coefficient over the fraction of training completed.
      entropy: whether to give confident examples more weight.
      randomized_dim: width of the random map; None uses all products.
      spectral: weight of BSP's `spectral_penalty` of both batches of features.
      weight: weight of the total loss.

    Raises:
      BadInput: if a width is below 1, or a weight is negative.

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018
      (https://arxiv.org/abs/1705.10667).
    """

    widths: tuple[int, ...] = (1024, 1024)
    warm_up: SigmoidWarmUp = dataclasses.field(default_factory=SigmoidWarmUp)
    entropy: bool = False
    randomized_dim: int | None = None
    spectral: float = 0.0
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        check_settings(self)
        if self.randomized_dim is not None:
            require_int(self, randomized_dim=1)

    def aux_heads(self, num_classes: int) -> dict[str, AuxMLP]:
        """Returns the discriminator."""
        return {
            "domain": AuxMLP(
                1, self.widths, input_multiple=num_classes, input_size=self.randomized_dim
            )
        }

    def shown(self, features: jax.Array, logits: jax.Array) -> jax.Array:
        """Returns the inputs of the discriminator."""
        if self.randomized_dim is None:
            return conditional_map(features, logits)
        # The same matrices at every step and in every run: they are not trained.
        sizes = features.shape[-1], logits.shape[-1], self.randomized_dim
        matrices = random_matrices(jax.random.key(0), *sizes, dtype=features.dtype)
        return random_conditional_map(features, logits, matrices)

    def update(self, views: AuxInputs, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss `[]`, no state, and metrics."""
        shown = tuple(self.shown(views.features[view], views.outputs(view)) for view in BOTH)
        source, target = domain_logits(views, shown, self.warm_up(views.progress))
        weights = jnp.ones(len(source) + len(target))
        if self.entropy:
            weights = entropy_weights(jnp.concatenate([views.outputs(view) for view in BOTH]))
        parts = jnp.split(weights, [len(source)])
        loss = conditional_adversarial(source, target, *parts) + spectral(self, views)
        return loss, state, {"domain_accuracy": domain_accuracy(source, target)}


def conditional_map(features: jax.Array, logits: jax.Array) -> jax.Array:
    """Multilinear map, the discriminator's input: all products of probabilities and features.

    `vec(p f')`, `p = softmax(z)`: entry `c D + d` is `p_c f_d`. No gradient with respect to the
    logits, otherwise the classifier would be trained to mislead the discriminator.

    Args:
      features: features f, `[..., D]`.
      logits: logits z, `[..., C]`.

    Returns:
      The map `[..., C D]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018, multilinear
      conditioning (https://arxiv.org/abs/1705.10667).
    """
    require_pair("conditional_map", features, logits)
    probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
    product = probabilities[..., :, None] * features[..., None, :]
    return product.reshape(*features.shape[:-1], logits.shape[-1] * features.shape[-1])


def random_matrices(
    key: jax.Array, num_features: int, num_classes: int, width: int = 1024, dtype=float
) -> tuple[jax.Array, jax.Array]:
    """Standard normal matrices `[D, R]` and `[C, R]` for `random_conditional_map`.

    Sample them once per training run; they are not trained.
    """
    for_features, for_classes = jax.random.split(key)
    return (
        jax.random.normal(for_features, (num_features, width), dtype),
        jax.random.normal(for_classes, (num_classes, width), dtype),
    )


def random_conditional_map(
    features: jax.Array, logits: jax.Array, matrices: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Randomized `conditional_map` of lower dimension, `(R_f' f) (R_p' p) / sqrt(R)`, elementwise.

    Inner products of two maps equal those of `conditional_map` in expectation over the matrices. No
    gradient with respect to the logits or the matrices.

    Args:
      features: features f, `[..., D]`.
      logits: logits of p, `[..., C]`.
      matrices: R_f `[D, R]` and R_p `[C, R]`, from `random_matrices`.

    Returns:
      The map `[..., R]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018, randomized
      multilinear map (https://arxiv.org/abs/1705.10667).
    """
    require_pair("random_conditional_map", features, logits)
    of_features, of_classes = jax.lax.stop_gradient(matrices)
    width = of_features.shape[-1]
    wanted = (features.shape[-1], width), (logits.shape[-1], width)
    if (of_features.shape, of_classes.shape) != wanted:
        raise ValueError(
            f"random_conditional_map needs matrices [D, R] and [C, R] for features "
            f"{features.shape} and logits {logits.shape}, not {of_features.shape} and "
            f"{of_classes.shape}"
        )
    probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
    return (
        (features @ of_features)
        * (probabilities @ of_classes)
        / jnp.sqrt(width).astype(features.dtype)
    )


def entropy_weights(logits: jax.Array, *, offset: float = 0.0) -> jax.Array:
    """Example weights by certainty, `w_i = N (1 + e^-H_i) / sum_j (1 + e^-H_j)`.

    `H = -sum_c p_c log(p_c + e)`, p the softmax, natural logarithm. The mean weight is 1. No
    gradient with respect to the logits. The authors' code normalizes the mean to 1 in each domain
    separately, and also reverses a gradient through the entropy; TLLib does neither.

    Args:
      logits: logits `[N, C]` of the examples over which the mean is 1: of both domains together, or
        of one.
      offset: the offset e; the paper uses none, TLLib 1e-5, which changes the weights by about that
        amount.

    Returns:
      The weights `[N]`, from 1/2 to 2.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018, entropy
      conditioning (https://arxiv.org/abs/1705.10667); without a gradient as TLLib
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    require_logits("entropy_weights", logits, ndim=2)
    probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
    entropy = -jax.scipy.special.xlogy(probabilities, probabilities + offset).sum(-1)
    weights = 1.0 + jnp.exp(-entropy)
    return weights / weights.mean()


def conditional_adversarial(
    source: jax.Array,
    target: jax.Array,
    source_weights: jax.Array,
    target_weights: jax.Array,
) -> jax.Array:
    """Weighted `domain_adversarial`, `1/2 (mean w_s softplus(-d_s) + mean w_t softplus(d_t))`.

    The means divide by the number of examples, not by the sum of the weights. Gradients with
    respect to the logits, none with respect to the weights.

    Args:
      source: logits of the discriminator on maps of the source, `[B]`.
      target: logits of the discriminator on maps of the target, `[U]`.
      source_weights: weights `[B]`, the first part of `entropy_weights` of both domains.
      target_weights: weights `[U]`, the remaining part.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018, CDAN+E
      (https://arxiv.org/abs/1705.10667).
    """
    require_alike("conditional_adversarial", source, source_weights)
    require_alike("conditional_adversarial", target, target_weights)
    weights = jax.lax.stop_gradient((source_weights, target_weights))
    ours = (weights[0] * jax.nn.softplus(-source)).mean()
    return 0.5 * (ours + (weights[1] * jax.nn.softplus(target)).mean())


def require_pair(name: str, features: jax.Array, logits: jax.Array) -> None:
    """Requires features `[..., D]` and logits `[..., C]` of the same examples."""
    require_floats(name, features, logits)
    if features.ndim == 0 or logits.ndim == 0 or features.shape[:-1] != logits.shape[:-1]:
        raise ValueError(
            f"{name} needs features [..., D] and logits [..., C], "
            f"not features {features.shape} and logits {logits.shape}"
        )
