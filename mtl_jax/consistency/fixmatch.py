"""FixMatch's loss as one function: confident predictions on weak views label strong views."""

import chex
import jax
import jax.numpy as jnp

from mtl_jax.losses import cross_entropy


def fixmatch(
    strong: jax.Array, weak: jax.Array, *, threshold: float = 0.95
) -> tuple[jax.Array, jax.Array]:
    """FixMatch consistency loss.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`, per example. No gradient with
    respect to `weak`. The mean is left to the caller and is over *all* examples, masked ones
    included, as in the paper.

    Args:
      strong: logits of strongly augmented inputs, `[..., C]`.
      weak: logits of weakly augmented inputs, `[..., C]`.
      threshold: confidence below which an example is masked out.

    Returns:
      The loss `[...]`, and the mask `[...]` of examples that count.

    Raises:
      AssertionError: when traced, if the shapes differ or the inputs are not floats.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> weak = jnp.array([[4.0, 0.0], [0.5, 0.0]])
      >>> loss, mask = consistency.fixmatch(jnp.zeros((2, 2)), weak)
      >>> [round(x, 2) for x in loss.tolist()], mask.tolist()
      ([0.69, 0.0], [True, False])
    """
    chex.assert_equal_shape([strong, weak])
    chex.assert_type([strong, weak], float)
    weak = jax.lax.stop_gradient(weak)
    mask = jax.nn.softmax(weak).max(-1) >= threshold
    return jnp.where(mask, cross_entropy(strong, weak.argmax(-1)), 0.0), mask
