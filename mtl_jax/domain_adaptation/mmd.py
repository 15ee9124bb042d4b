"""Maximum mean discrepancy (MMD) of two batches, for one layer or jointly for several."""

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

# As in the paper of joint adaptation: features, then probabilities.
FEATURES_AND_PROBABILITIES = (AdaptiveGaussians(), FixedGaussians())


def multi_kernel_mmd(
    source: jax.Array,
    target: jax.Array,
    *,
    factors: tuple[float, ...] = FACTORS,
    linear: bool = False,
) -> jax.Array:
    """Unbiased estimate of the squared MMD of two batches under a sum of Gaussian kernels.

    `mean_{i != j} k(s_i, s_j) + mean_{i != j} k(t_i, t_j) - 2 mean_{ij} k(s_i, t_j)`, with the
    kernel of `AdaptiveGaussians`. The linear-time estimate is, over a ring of neighbours
    `j = i + 1`, `mean_i k(s_i, s_j) + k(t_i, t_j) - k(s_i, t_j) - k(s_j, t_i)`; it depends on the
    order of the batch and has a larger variance.

    For a fixed bandwidth its expectation is 0 for batches of the same distribution, so it may be
    negative: for two equal batches of n, the quadratic-time estimate is between `-2 k(0) / n` and
    0, with `k(0)` the number of factors. TLLib adds the constant `2/(n - 1)`. Gradients with
    respect to both batches, none through the kernel's bandwidth.

    Args:
      source: features `[B, D]`, at least two examples.
      target: features `[U, D]`, at least two examples; `linear` requires U = B.
      factors: factors of the mean squared distance, one per Gaussian.
      linear: whether to use the linear-time estimate.

    Returns:
      The squared discrepancy `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).
      BadInput: if factors are not positive.

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
    """Squared MMD of the joint distribution of several layers.

    The estimate of `multi_kernel_mmd` with the product of the layers' kernels,
    `prod_l k_l(x_l, y_l)`. Gradients with respect to both batches, none through the kernels'
    bandwidths.

    Args:
      source: layers `[B, D_l]`: features, and probabilities (not logits).
      target: layers `[U, D_l]`.
      kernels: one kernel per layer.
      linear: whether to use the linear-time estimate, which requires U = B.

    Returns:
      The squared discrepancy `[]`; it may be negative.

    Raises:
      ValueError: if shapes, dtypes or the number of layers do not match (when traced).

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
    """Estimate `[]` with the product of the layers' kernels."""
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
    """Centres layers on the joint batch and returns the mean squared distance of its pairs.

    After centring, the mean of `|x_i - x_j|^2` over all pairs is `2 mean |x|^2`.
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
    """Estimate over all pairs except those of an example with itself."""

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
    """Mean `[]` of the off-diagonal entries of a matrix `[N, N]`."""
    n = len(kernel)
    return jnp.where(jnp.eye(n, dtype=bool), 0.0, kernel).sum() / (n * (n - 1))


def in_linear_time(source, target, widths, kernels) -> jax.Array:
    """Estimate over neighbouring pairs in the ring of the batch."""

    def product(rows, columns):
        k = 1.0
        for kernel, a, b, width in zip(kernels, rows, columns, widths, strict=True):
            k = k * kernel(jnp.square(a - b).sum(1), width)
        return k

    after, there = ([jnp.roll(layer, -1, 0) for layer in side] for side in (source, target))
    within = product(source, after) + product(target, there)
    return (within - product(source, there) - product(after, target)).mean()
