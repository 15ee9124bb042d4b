"""rot90: quarter turns of an image, as in rotation prediction."""

import jax
import jax.numpy as jnp


def rot90(image: jax.Array, turns: jax.Array | int) -> jax.Array:
    """Rotates a square image by quarter turns, anticlockwise.

    `out[i, j] = image[j, n - 1 - i]` for one turn of an image of side n.

    Args:
      image: `[H, W, ...]` with H = W, of any dtype.
      turns: integer `[]`, taken modulo 4: the class of rotation prediction.

    Raises:
      ValueError: for an image that is not square, when traced.

    Reference: Gidaris et al., Unsupervised Representation Learning by Predicting Image
      Rotations, ICLR 2018, its section on geometric transformations
      (https://arxiv.org/abs/1803.07728).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> augment.rot90(jnp.array([[1, 2], [3, 4]]), 1).tolist()
      [[2, 4], [1, 3]]
    """
    if image.ndim < 2 or image.shape[0] != image.shape[1]:
        raise ValueError(f"rot90 takes a square image [H, H, ...], not {image.shape}")
    rotated = [jnp.rot90(image, k) for k in range(4)]
    return jax.lax.select_n(jnp.asarray(turns % 4, jnp.int32), *rotated)
