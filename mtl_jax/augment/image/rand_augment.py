"""RandAugment: operations sampled from a list for each image."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.augment.apply_sequence import apply_ops, apply_ops_batched
from mtl_jax.augment.image.fill import fill_like, require_fill
from mtl_jax.augment.image.validation import from_levels, require_image, require_images, to_levels
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require, require_int, require_number


@dataclasses.dataclass(frozen=True)
class RandAugment(Policy):
    """Applies `num_ops` operations, each sampled with replacement and with its own strength.

    Works on gray levels: floats are rounded to the nearest of 256 unless no operation is applied
    at all. In a loop only the sampled operations are computed, under `jax.vmap` all of them: on
    a CPU use a loop (`Execution.augment_loop`).

    Attributes:
      operations: of `mtl_jax.augment.image.operations`; empty is the identity.
      num_ops: number of operations applied in sequence.
      probability: of applying each of them.
      num_magnitude_bins: strengths are 1, 2, ... `num_magnitude_bins - 1` out of
        `num_magnitude_bins`; 0 samples them uniformly in [0, 1).
      fill: value outside the image, in [0, 1]; or one for each channel.

    Raises:
      BadInput: for a setting outside its range.

    Reference: Cubuk et al., RandAugment, 2019, Section 3, with a common strength
      (https://arxiv.org/abs/1909.13719); sampled as in Sohn et al., FixMatch, NeurIPS 2020,
      Section 2.3 (https://arxiv.org/abs/2001.07685).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.RandAugment((augment.operations.Invert(),), num_ops=1)
      >>> jax.jit(policy)(jax.random.key(0), jnp.full((1, 1, 3), 55, jnp.uint8)).tolist()
      [[[200, 200, 200]]]
    """

    operations: tuple[Callable, ...]
    num_ops: int = 2
    probability: float = 1.0
    num_magnitude_bins: int = 0
    fill: float | tuple[float, ...] = 0.5

    has_branches = True  # Computes only sampled operations unless vmapped.

    def __post_init__(self):
        valid = isinstance(self.operations, tuple) and all(map(callable, self.operations))
        require(valid, self, "operations", "must be a tuple of operations", self.operations)
        require_int(self, num_ops=0, num_magnitude_bins=0)
        require(
            self.num_magnitude_bins != 1,
            self,
            "num_magnitude_bins",
            "must be 0, or 2 or more",
            self.num_magnitude_bins,
        )
        require_number(self, probability=(0.0, 1.0))
        require_fill(self)

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        return self.transform(apply_ops, self.sample(key), image)

    def apply_batched(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        """Batched call for keys `[N]` and images `[N, H, W, C]`; see `Policy`."""
        require_images(self, images)
        return self.transform(apply_ops_batched, jax.vmap(self.sample)(keys), images)

    def sample(self, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Sampled operations, levels and signs, `[num_ops]` each."""
        uniform = jax.random.uniform(key, (4, self.num_ops), jnp.float32)
        number = len(self.operations)
        index = jnp.minimum((uniform[0] * number).astype(jnp.int32), number - 1)
        index = jnp.where(uniform[1] < self.probability, index, number)
        level = uniform[2]
        if self.num_magnitude_bins:
            level = (
                1.0 + jnp.floor(level * (self.num_magnitude_bins - 1))
            ) / self.num_magnitude_bins
        return index, level, jnp.where(uniform[3] < 0.5, -1.0, 1.0)

    def transform(self, apply: Callable, sampled: tuple, image: jax.Array) -> jax.Array:
        """Applies sampled operations; `apply` is `apply_ops` or `apply_ops_batched`."""
        if not (self.operations and self.num_ops and self.probability):
            return image
        return apply_to_levels(self.operations, apply, sampled, image, fill_like(self, image))


def apply_to_levels(
    operations: tuple[Callable, ...],
    apply: Callable,
    sampled: tuple[jax.Array, jax.Array, jax.Array],
    image: jax.Array,
    fill: jax.Array,
) -> jax.Array:
    """Applies operations to one or many images, as gray levels.

    Args:
      operations: `(gray, level, sign, fill) -> gray` each.
      apply: `apply_ops` for one image, `apply_ops_batched` for many.
      sampled: indices of operations, levels and signs, as `apply` takes them.
      image: `[H, W, C]` or `[N, H, W, C]`.
      fill: value outside the image `[C]`, in the image's dtype.
    """
    fill_levels = to_levels(fill)

    def bind_fill(operation):
        return lambda gray, level, sign: operation(gray, level, sign, fill_levels)

    index, *args = sampled
    gray = apply(
        [bind_fill(operation) for operation in operations], index, tuple(args), to_levels(image)
    )
    return from_levels(gray, image)
