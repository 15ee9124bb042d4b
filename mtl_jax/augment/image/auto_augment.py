"""AutoAugment: one of several fixed sequences of operations, sampled for each image."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.apply_sequence import apply_ops, apply_ops_batched
from mtl_jax.augment.image.fill import fill_like, require_fill
from mtl_jax.augment.image.rand_augment import apply_to_levels
from mtl_jax.augment.image.validation import require_image, require_images
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class AutoAugment(Policy):
    """Samples one of the sequences and applies each of its operations with its probability.

    Works on gray levels, and is best looped on a CPU, as `RandAugment`.

    Attributes:
      sequences: of equal length, of `(operation, probability, level)` with operations of
        `mtl_jax.augment.image.operations` and levels in [0, 1]; empty is the identity.
      fill: value outside the image, in [0, 1]; or one for each channel.

    Raises:
      BadInput: for anything other than such a tuple, or a fill outside [0, 1].

    Reference: Cubuk et al., AutoAugment, CVPR 2019, Section 3
      (https://arxiv.org/abs/1805.09501).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.AutoAugment((((augment.operations.Invert(), 1.0, 0.0),),))
      >>> jax.jit(policy)(jax.random.key(0), jnp.full((1, 1, 3), 55, jnp.uint8)).tolist()
      [[[200, 200, 200]]]
    """

    sequences: tuple[tuple[tuple[Callable, float, float], ...], ...]
    fill: float | tuple[float, ...] = 0.5

    has_branches = True  # Computes only sampled operations unless vmapped.

    def __post_init__(self):
        valid = isinstance(self.sequences, tuple) and all(map(is_sequence, self.sequences))
        rule = "must be a tuple of tuples of (operation, probability, level)"
        require(valid, self, "sequences", rule, self.sequences)
        lengths = set(map(len, self.sequences))
        require(len(lengths) <= 1, self, "sequences", "must be of one length", lengths)
        require_fill(self)

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        return self.transform(apply_ops, self.sample(key), image)

    def apply_batched(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        """Batched call for keys `[N]` and images `[N, H, W, C]`; see `Policy`."""
        require_images(self, images)
        return self.transform(apply_ops_batched, jax.vmap(self.sample)(keys), images)

    def sample(self, key: jax.Array) -> tuple:
        """Sampled operations, levels and signs, `[length]` each; empty without sequences."""
        if not any(self.sequences):
            return ()
        steps = zip(*(step for row in self.sequences for step in row), strict=True)
        shape = rows, length = len(self.sequences), len(self.sequences[0])
        operations = self.operations()
        operation_table, probabilities, levels = (
            np.array(part, object).reshape(shape) for part in steps
        )
        indices = np.vectorize(operations.index, otypes=[np.int32])(operation_table)
        uniform = jax.random.uniform(key, (1 + 2 * length,), jnp.float32)
        row = jnp.minimum((uniform[0] * rows).astype(jnp.int32), rows - 1)
        sign = jnp.where(uniform[1 : 1 + length] < 0.5, -1.0, 1.0)
        is_applied = uniform[1 + length :] < jnp.asarray(probabilities.astype(np.float32))[row]
        index = jnp.where(is_applied, jnp.asarray(indices)[row], len(operations))
        level = jnp.asarray(levels.astype(np.float32))[row]
        return index, level, sign

    def transform(self, apply: Callable, sampled: tuple, image: jax.Array) -> jax.Array:
        """Applies sampled operations; `apply` is `apply_ops` or `apply_ops_batched`."""
        if not sampled:
            return image
        return apply_to_levels(self.operations(), apply, sampled, image, fill_like(self, image))

    def operations(self) -> tuple[Callable, ...]:
        """The operations of all sequences, without duplicates."""
        return tuple(dict.fromkeys(step[0] for row in self.sequences for step in row))


def is_sequence(value: object) -> bool:
    """Whether a value is a tuple of operations, each with a probability and a level."""
    return isinstance(value, tuple) and all(
        isinstance(step, tuple)
        and len(step) == 3
        and callable(step[0])
        and all(isinstance(n, int | float) and 0.0 <= n <= 1.0 for n in step[1:])
        for step in value
    )
