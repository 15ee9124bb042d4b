"""Chain: one policy after the other."""

import dataclasses

import jax

from mtl_jax.augment.image import require_image
from mtl_jax.checks import require
from mtl_jax.protocols import Policy


@dataclasses.dataclass(frozen=True)
class Chain:
    """Applies policies in their order, each with a key of its own place.

    Attributes:
      policies: `(key, image) -> image` each; none is the identity.

    Raises:
      BadInput: for what is no tuple of policies.
    """

    policies: tuple[Policy, ...]

    def __post_init__(self):
        fine = isinstance(self.policies, tuple) and all(map(callable, self.policies))
        require(fine, self, "policies", "must be a tuple of policies", self.policies)

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        for place, policy in enumerate(self.policies):
            image = policy(jax.random.fold_in(key, place), image)
        return image
