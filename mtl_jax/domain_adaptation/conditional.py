"""Conditional adversarial alignment: what a discriminator is shown, and how much examples count."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_alike, require_floats, require_logits


def conditional_map(features: jax.Array, logits: jax.Array) -> jax.Array:
    """What the discriminator reads: all products of probabilities and features.

    `vec(p f')`, `p = softmax(z)`: entry `c D + d` is `p_c f_d`. No gradient flows into the
    logits, or the classifier would learn to mislead the discriminator.

    Args:
      features: f, `[..., D]`.
      logits: z, `[..., C]`.

    Returns:
      The map `[..., C D]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

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

    They are drawn once for a training and never trained.
    """
    for_features, for_classes = jax.random.split(key)
    return (
        jax.random.normal(for_features, (num_features, width), dtype),
        jax.random.normal(for_classes, (num_classes, width), dtype),
    )


def random_conditional_map(
    features: jax.Array, logits: jax.Array, matrices: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """`conditional_map` in few dimensions, `(R_f' f) (R_p' p) / sqrt(R)`, elementwise product.

    Inner products of two maps have those of `conditional_map` as their mean over the matrices.
    No gradient flows into the logits, nor into the matrices.

    Args:
      features: f, `[..., D]`.
      logits: of p, `[..., C]`.
      matrices: R_f `[D, R]` and R_p `[C, R]`, of `random_matrices`.

    Returns:
      The map `[..., R]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

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
    """How much each example counts by its certainty, `w_i = N (1 + e^-H_i) / sum_j (1 + e^-H_j)`.

    `H = -sum_c p_c log(p_c + e)`, p the softmax, natural logarithm. Their mean is 1. No gradient
    flows. The authors' code makes the mean 1 in each domain by itself, and reverses a gradient
    through the entropy too; TLLib does neither.

    Args:
      logits: `[N, C]`, of both domains together, or of one, as the mean shall be 1.
      offset: e; the paper has none, TLLib 1e-5, which changes weights by about as much.

    Returns:
      The weights `[N]`, from 1/2 to 2.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

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
    """`domain_adversarial` with weights, `1/2 (mean w_s softplus(-d_s) + mean w_t softplus(d_t))`.

    The means are over the examples, not over the sum of the weights. Gradients flow into the
    logits, not into the weights.

    Args:
      source: logits of the discriminator on maps of the source, `[B]`.
      target: those of the target, `[U]`.
      source_weights: `[B]`, the first part of `entropy_weights` of both domains.
      target_weights: `[U]`, the rest of it.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.

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
