"""FixMatch's loss as one function: a confident guess on the weak view labels the strong view."""

import chex
import jax
import jax.numpy as jnp

from mtl_jax.losses import cross_entropy


def fixmatch(
    strong: jax.Array, weak: jax.Array, *, threshold: float = 0.95
) -> tuple[jax.Array, jax.Array]:
    """FixMatch consistency loss.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`, per example. No gradient
    flows into `weak`. The mean is left to the caller and is over *all* examples, the masked
    ones too, as in the paper.

    Args:
      strong: logits of strongly augmented inputs, `[..., C]`.
      weak: logits of weakly augmented inputs, `[..., C]`.
      threshold: confidence below which an example is left out.

    Returns:
      The loss `[...]`, and the mask `[...]` of examples that counted.

    Raises:
      AssertionError: if the shapes differ or are no floats, when traced.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).
    """
    chex.assert_equal_shape([strong, weak])
    chex.assert_type([strong, weak], float)
    weak = jax.lax.stop_gradient(weak)
    mask = jax.nn.softmax(weak).max(-1) >= threshold
    return jnp.where(mask, cross_entropy(strong, weak.argmax(-1)), 0.0), mask
