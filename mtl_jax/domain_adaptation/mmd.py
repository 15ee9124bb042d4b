"""Maximum mean discrepancy (MMD) of two batches, for one layer or jointly for several."""

import functools
from collections.abc import Callable, Sequence

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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> source = jnp.array([[0.0], [1.0], [2.0]])
      >>> targets = (source, source + 4.0)
      >>> [round(float(domain_adaptation.multi_kernel_mmd(source, b)), 2) for b in targets]
      [-2.16, 4.8]
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

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> features, probabilities = jnp.array([[0.0], [1.0], [2.0]]), jnp.eye(3)
      >>> source, target = (features, probabilities), (features + 4.0, probabilities)
      >>> round(float(jax.jit(domain_adaptation.joint_mmd)(source, target)), 2)
      0.88
    """
    if not len(source) == len(target) == len(kernels) > 0:
        raise ValueError(
            f"joint_mmd needs one kernel for each layer, not {len(kernels)} kernels, "
            f"{len(source)} layers of the source and {len(target)} of the target"
        )
    return discrepancy("joint_mmd", source, target, kernels, linear)


def discrepancy(
    name: str,
    source: Sequence[jax.Array],
    target: Sequence[jax.Array],
    kernels: tuple[Kernel, ...],
    linear: bool,
) -> jax.Array:
    """Estimate `[]` with the product of the layers' kernels."""
    for a, b in zip(source, target, strict=True):
        require_features(name, a, b, min_examples=2)
    sizes = {(len(a), len(b)) for a, b in zip(source, target, strict=True)}
    if len(sizes) > 1:
        raise ValueError(f"{name} needs layers of the same examples, not batches {sorted(sizes)}")
    if linear and source[0].shape != target[0].shape:
        raise ValueError(f"{name} needs batches of one size in linear time, not {sizes.pop()}")
    estimate = linear_time_estimate if linear else quadratic_time_estimate
    return estimate(*center(source, target), kernels)


def center(
    source: Sequence[jax.Array], target: Sequence[jax.Array]
) -> tuple[list[jax.Array], list[jax.Array], list[jax.Array]]:
    """Centers layers on the joint batch and returns the mean squared distance of its pairs.

    After centering, the mean of `|x_i - x_j|^2` over all pairs is `2 mean |x|^2`.
    """
    centered_source, centered_target, mean_squares = [], [], []
    for a, b in zip(source, target, strict=True):
        both = jax.lax.stop_gradient(jnp.concatenate([a, b]))
        mean = both.mean(0)
        centered_source.append(a - mean[None])
        centered_target.append(b - mean[None])
        mean_squares.append(2.0 * jnp.square(both - mean[None]).sum(1).mean())
    return centered_source, centered_target, mean_squares


def quadratic_time_estimate(
    source: list[jax.Array],
    target: list[jax.Array],
    mean_squares: list[jax.Array],
    kernels: tuple[Kernel, ...],
) -> jax.Array:
    """Estimate over all pairs except those of an example with itself."""
    product = functools.partial(kernel_product, squared_distances, mean_squares, kernels)
    return (
        mean_off_diagonal(product(source, source))
        + mean_off_diagonal(product(target, target))
        - 2.0 * product(source, target).mean()
    )


def kernel_product(
    distances: Callable[[jax.Array, jax.Array], jax.Array],
    mean_squares: list[jax.Array],
    kernels: tuple[Kernel, ...],
    rows: list[jax.Array],
    columns: list[jax.Array],
) -> jax.Array:
    """Product over layers of a kernel's values at the squared distances of rows and columns."""
    layers = zip(kernels, rows, columns, mean_squares, strict=True)
    values = [kernel(distances(a, b), m) for kernel, a, b, m in layers]
    return functools.reduce(jnp.multiply, values)


def paired_distances(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Squared distances `[N]` of each row to the column of its index."""
    return jnp.square(rows - columns).sum(1)


def mean_off_diagonal(kernel: jax.Array) -> jax.Array:
    """Mean `[]` of the off-diagonal entries of a matrix `[N, N]`."""
    n = len(kernel)
    return jnp.where(jnp.eye(n, dtype=bool), 0.0, kernel).sum() / (n * (n - 1))


def linear_time_estimate(
    source: list[jax.Array],
    target: list[jax.Array],
    mean_squares: list[jax.Array],
    kernels: tuple[Kernel, ...],
) -> jax.Array:
    """Estimate over neighbouring pairs in the ring of the batch."""
    product = functools.partial(kernel_product, paired_distances, mean_squares, kernels)
    next_source, next_target = (
        [jnp.roll(layer, -1, 0) for layer in layers] for layers in (source, target)
    )
    within = product(source, next_source) + product(target, next_target)
    return (within - product(source, next_target) - product(next_source, target)).mean()
