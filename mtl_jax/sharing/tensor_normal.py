"""TensorNormal: a tensor-normal prior on all tasks' kernels with learned covariances."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.sharing.stacked import kernels_of, stacked_trunks

HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class TensorNormal:
    """Penalty from a tensor-normal prior on the kernels (multilinear relationships).

    `weight * sum_l vec(W_l)^T (S_K x S_F x S_C)^-1
    vec(W_l)`, with the kernels of layer l as a tensor W_l `[K, F, C]` (tasks, inputs, outputs) and
    S_n the covariances of tasks, inputs and outputs. These are fitted to W within the step,
    starting from the identity, by num_iterations flip-flop iterations `S_n = d_n / d * W_(n) (x of
    the other S^-1) W_(n)^T + ridge * mean eigenvalue * I`, tasks last; d is the size of W. There is
    no gradient with respect to them, as in alternating optimization.

    At the fitted covariances the value is d for any W, up to the ridge: it ranges from about
    `d / K` (all tasks equal) to about d (unrelated tasks). Training is driven by the gradient,
    which up to the ridge is that of the profile likelihood `sum_n d / d_n log |S_n|`. It grows as W
    shrinks, so use small weights. Biases and normalization parameters are excluded.

    Two differences from the authors' code: the ridge is relative, so that it is independent of the
    scale of W; theirs, 1e-5, is absolute. And all covariances are fitted in every step, where their
    code fits only that of the tasks, every 100 steps; this requires an inverse of `[F, F]`, so it
    suits small layers.

    Attributes:
      weight: coefficient of the sum.
      ridge: fraction of the mean eigenvalue that is added to each covariance.
      num_iterations: number of passes over the three covariances.

    Raises:
      BadInput: for an invalid value; when called, if the tasks have no separate trunks.

    Reference: Long, Cao, Wang and Yu, Learning Multiple Tasks with Multilinear Relationship
      Networks, NeurIPS 2017, Section 4 (https://arxiv.org/abs/1506.02117).
    """

    weight: float
    ridge: float = 0.01
    num_iterations: int = 1

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), ridge=(0.0, math.inf))
        require(self.ridge >= 1e-6, self, "ridge", "must be at least 1e-06", self.ridge)
        require_int(self, num_iterations=1)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * tensor_normal(
            stacked_trunks(self, params), self.ridge, self.num_iterations
        )


def tensor_normal(stacked: Tree, ridge: float = 0.01, num_iterations: int = 1) -> jax.Array:
    """Sum over the kernels of `vec(W)^T (S_K x S_F x S_C)^-1 vec(W)`.

    Args:
      stacked: tree of leaves `[K, ..., C]`; only those with at least two axes besides K are
        included.
      ridge: fraction of the mean eigenvalue that is added to each covariance.
      num_iterations: number of passes over the three covariances.

    Returns:
      A scalar `[]`; 0, with zero gradient, for zero kernels.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.tensor_normal(kernels)), 2)
      3.96
    """
    tensors = [k.reshape(k.shape[0], -1, k.shape[-1]) for k in kernels_of(stacked)]
    return sum_arrays(quadratic_form(tensor, ridge, num_iterations) for tensor in tensors)


def quadratic_form(tensor: jax.Array, ridge: float, num_iterations: int) -> jax.Array:
    """`vec(W)^T (S_K x S_F x S_C)^-1 vec(W)` `[]` of one tensor `[K, F, C]`."""
    constant = jax.lax.stop_gradient(tensor)
    largest = jnp.abs(constant).max()
    scale = jnp.where(largest > 0, largest, 1.0)  # Squares could underflow or overflow.
    inverses = inverse_covariances(constant / scale, ridge, num_iterations)
    scaled = tensor / scale
    return jnp.vdot(scaled, multiply_axes(scaled, inverses), precision=HIGHEST)


def inverse_covariances(tensor: jax.Array, ridge: float, num_iterations: int) -> list[jax.Array]:
    """Inverse covariances of tasks, inputs and outputs, by `num_iterations` of flip-flop."""

    def flip_flop(_, inverses):
        for axis in (1, 2, 0):
            others = [None if n == axis else inverse for n, inverse in enumerate(inverses)]
            rows, whitened = unfold(tensor, axis), unfold(multiply_axes(tensor, others), axis)
            covariance = jnp.matmul(rows, whitened.T, precision=HIGHEST) / rows.shape[1]
            inverses = [*inverses[:axis], ridged_inverse(covariance, ridge), *inverses[axis + 1 :]]
        return inverses

    identities = [jnp.eye(size, dtype=tensor.dtype) for size in tensor.shape]
    return jax.lax.fori_loop(0, num_iterations, flip_flop, identities)


def multiply_axes(tensor: jax.Array, matrices: Sequence[jax.Array | None]) -> jax.Array:
    """Multiplies the tensor along each axis by that axis's matrix, unless it is None."""
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            product = jnp.tensordot(matrix, tensor, (1, axis), precision=HIGHEST)
            tensor = jnp.moveaxis(product, 0, axis)
    return tensor


def unfold(tensor: jax.Array, axis: int) -> jax.Array:
    """Unfolds the tensor into a matrix with the given axis as rows."""
    return jnp.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def ridged_inverse(covariance: jax.Array, ridge: float) -> jax.Array:
    """Inverse of `S + ridge * mean eigenvalue * I`; the identity if S is zero."""
    values, basis = jnp.linalg.eigh((covariance + covariance.T) / 2.0)
    mean = jnp.trace(covariance) / len(covariance)
    values = jnp.where(mean > 0, jnp.maximum(values, 0.0) + ridge * mean, 1.0)
    return jnp.matmul(basis / values[None], basis.T, precision=HIGHEST)
