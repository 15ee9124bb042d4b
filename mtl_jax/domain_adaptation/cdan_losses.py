"""Parts of CDAN: multilinear maps of features and probabilities, example weights and the loss."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_floats, require_logits, require_same_shape


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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> features, logits = jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2))
      >>> domain_adaptation.conditional_map(features, logits).tolist()
      [[0.5, 1.0, 0.5, 1.0]]
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

    Example:
      >>> import jax
      >>> from mtl_jax import domain_adaptation
      >>> key = jax.random.key(0)
      >>> [a.shape for a in domain_adaptation.random_matrices(key, 2, num_classes=3, width=8)]
      [(2, 8), (3, 8)]
    """
    features_key, classes_key = jax.random.split(key)
    return (
        jax.random.normal(features_key, (num_features, width), dtype),
        jax.random.normal(classes_key, (num_classes, width), dtype),
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> features, logits = jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2))
      >>> matrices = jnp.eye(2, 4), jnp.ones((2, 4))  # in practice, of `random_matrices`
      >>> domain_adaptation.random_conditional_map(features, logits, matrices).tolist()
      [[0.5, 1.0, 0.0, 0.0]]
    """
    require_pair("random_conditional_map", features, logits)
    features_matrix, classes_matrix = jax.lax.stop_gradient(matrices)
    width = features_matrix.shape[-1]
    shapes = (features.shape[-1], width), (logits.shape[-1], width)
    if (features_matrix.shape, classes_matrix.shape) != shapes:
        raise ValueError(
            f"random_conditional_map needs matrices [D, R] and [C, R] for features "
            f"{features.shape} and logits {logits.shape}, not {features_matrix.shape} and "
            f"{classes_matrix.shape}"
        )
    probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
    return (
        (features @ features_matrix)
        * (probabilities @ classes_matrix)
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> logits = jnp.array([[0.0, 0.0], [100.0, 0.0]])  # uncertain, certain
      >>> [round(weight, 3) for weight in domain_adaptation.entropy_weights(logits).tolist()]
      [0.857, 1.143]
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.domain_adaptation import conditional_adversarial
      >>> logits, weights = jnp.zeros(2), jnp.array([0.5, 1.5])
      >>> round(float(conditional_adversarial(logits, logits, weights, weights)), 4)  # log 2
      0.6931
    """
    require_same_shape("conditional_adversarial", source, source_weights)
    require_same_shape("conditional_adversarial", target, target_weights)
    source_weights, target_weights = jax.lax.stop_gradient((source_weights, target_weights))
    source_loss = (source_weights * jax.nn.softplus(-source)).mean()
    return 0.5 * (source_loss + (target_weights * jax.nn.softplus(target)).mean())


def require_pair(name: str, features: jax.Array, logits: jax.Array) -> None:
    """Requires features `[..., D]` and logits `[..., C]` of the same examples."""
    require_floats(name, features, logits)
    if features.ndim == 0 or logits.ndim == 0 or features.shape[:-1] != logits.shape[:-1]:
        raise ValueError(
            f"{name} needs features [..., D] and logits [..., C], "
            f"not features {features.shape} and logits {logits.shape}"
        )
