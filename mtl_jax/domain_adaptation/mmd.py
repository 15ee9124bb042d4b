"""Maximum mean discrepancy: how far two batches are apart, by one layer or several at once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.kernels import (
    FACTORS,
    AdaptiveGaussians,
    FixedGaussians,
    Kernel,
    squared_distances,
)
from mtl_jax.domain_adaptation.validation import require_features

# As the paper of joint adaptation has it: features, then probabilities.
FEATURES_AND_PROBABILITIES = (AdaptiveGaussians(), FixedGaussians())


def multi_kernel_mmd(
    source: jax.Array,
    target: jax.Array,
    *,
    factors: tuple[float, ...] = FACTORS,
    linear: bool = False,
) -> jax.Array:
    """Squared discrepancy of two batches under a sum of Gaussians, estimated without bias.

    `mean_{i != j} k(s_i, s_j) + mean_{i != j} k(t_i, t_j) - 2 mean_{ij} k(s_i, t_j)`, with the
    kernel of `AdaptiveGaussians`. In linear time it is, over a ring of neighbours `j = i + 1`,
    `mean_i k(s_i, s_j) + k(t_i, t_j) - k(s_i, t_j) - k(s_j, t_i)`; the order of the batch then
    matters, and its noise is larger.

    For a given width its mean over batches of one distribution is 0, so a batch may have less:
    two equal batches of n have between `-2 k(0) / n` and 0 in quadratic time, `k(0)` the number
    of factors. TLLib adds the constant `2/(n - 1)`. Gradients flow into both batches, not
    through the kernel's width.

    Args:
      source: features `[B, D]`, at least two.
      target: features `[U, D]`, at least two; `linear` needs U = B.
      factors: of the mean squared distance, one for each Gaussian.
      linear: whether to take the estimate in linear time.

    Returns:
      The squared discrepancy `[]`.

    Raises:
      ValueError: if shapes or dtypes do not fit, when traced.
      BadInput: for factors that are not above 0.

    Reference: Long et al., Learning Transferable Features with Deep Adaptation Networks, ICML
      2015, deep adaptation networks (https://arxiv.org/abs/1502.02791); Gretton et al., A Kernel
      Two-Sample Test, JMLR 13, 2012, Lemma 6 (https://jmlr.org/papers/v13/gretton12a.html).
    """
    kernels = (AdaptiveGaussians(factors),)
    return discrepancy("multi_kernel_mmd", (source,), (target,), kernels, linear)


def joint_mmd(
    source: Sequence[jax.Array],
    target: Sequence[jax.Array],
    *,
    kernels: tuple[Kernel, ...] = FEATURES_AND_PROBABILITIES,
    linear: bool = False,
) -> jax.Array:
    """Squared discrepancy of the joint distribution of several layers.

    That of `multi_kernel_mmd` with the product of the layers' kernels, `prod_l k_l(x_l, y_l)`.
    Gradients flow into both batches, not through the kernels' widths.

    Args:
      source: layers `[B, D_l]`: features, and probabilities (not logits).
      target: layers `[U, D_l]`.
      kernels: one for each layer.
      linear: whether to take the estimate in linear time, which needs U = B.

    Returns:
      The squared discrepancy `[]`; it may be below 0 too.

    Raises:
      ValueError: if shapes, dtypes or the number of layers do not fit, when traced.

    Reference: Long et al., Deep Transfer Learning with Joint Adaptation Networks, ICML 2017,
      joint maximum mean discrepancy (https://arxiv.org/abs/1605.06636).
    """
    if not len(source) == len(target) == len(kernels) > 0:
        raise ValueError(
            f"joint_mmd needs one kernel for each layer, not {len(kernels)} kernels, "
            f"{len(source)} layers of the source and {len(target)} of the target"
        )
    return discrepancy("joint_mmd", source, target, kernels, linear)


def discrepancy(name, source, target, kernels, linear) -> jax.Array:
    """The estimate `[]` with the product of the layers' kernels."""
    for ours, theirs in zip(source, target, strict=True):
        require_features(name, ours, theirs, least=2)
    sizes = {(len(ours), len(theirs)) for ours, theirs in zip(source, target, strict=True)}
    if len(sizes) > 1:
        raise ValueError(f"{name} needs layers of the same examples, not batches {sorted(sizes)}")
    if linear and source[0].shape != target[0].shape:
        raise ValueError(f"{name} needs batches of one size in linear time, not {sizes.pop()}")
    estimate = in_linear_time if linear else in_quadratic_time
    return estimate(*centred(source, target), kernels)


def centred(source, target) -> tuple[list, list, list]:
    """Layers about the middle of the joint batch, and the mean squared distance of its pairs.

    With the mean at 0 the mean of `|x_i - x_j|^2` over all pairs is `2 mean |x|^2`.
    """
    ours, theirs, widths = [], [], []
    for a, b in zip(source, target, strict=True):
        both = jax.lax.stop_gradient(jnp.concatenate([a, b]))
        middle = both.mean(0)
        ours.append(a - middle[None])
        theirs.append(b - middle[None])
        widths.append(2.0 * jnp.square(both - middle[None]).sum(1).mean())
    return ours, theirs, widths


def in_quadratic_time(source, target, widths, kernels) -> jax.Array:
    """Over all pairs but those of an example with itself."""

    def product(rows, columns):
        k = 1.0
        for kernel, a, b, width in zip(kernels, rows, columns, widths, strict=True):
            k = k * kernel(squared_distances(a, b), width)
        return k

    return (
        without_diagonal(product(source, source))
        + without_diagonal(product(target, target))
        - 2.0 * product(source, target).mean()
    )


def without_diagonal(kernel: jax.Array) -> jax.Array:
    """Mean `[]` of a matrix `[N, N]` without its diagonal."""
    n = len(kernel)
    return jnp.where(jnp.eye(n, dtype=bool), 0.0, kernel).sum() / (n * (n - 1))


def in_linear_time(source, target, widths, kernels) -> jax.Array:
    """Over neighbours in the ring of the batch."""

    def product(rows, columns):
        k = 1.0
        for kernel, a, b, width in zip(kernels, rows, columns, widths, strict=True):
            k = k * kernel(jnp.square(a - b).sum(1), width)
        return k

    after, there = ([jnp.roll(layer, -1, 0) for layer in side] for side in (source, target))
    within = product(source, after) + product(target, there)
    return (within - product(source, there) - product(after, target)).mean()
