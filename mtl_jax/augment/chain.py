"""Chain: one policy after the other."""

import dataclasses

import jax

from mtl_jax.augment.batched import looped
from mtl_jax.core.protocols import Policy
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class Chain:
    """Applies policies in their order, each with a key of its own place.

    Its parts say what they take: images, signals or tokens. A part may change the shape for
    the next one.

    Attributes:
      policies: `(key, example) -> example` each; none is the identity.

    Raises:
      BadInput: for what is no tuple of policies.
    """

    policies: tuple[Policy, ...]

    def __post_init__(self):
        fine = isinstance(self.policies, tuple) and all(map(callable, self.policies))
        require(fine, self, "policies", "must be a tuple of policies", self.policies)

    def __call__(self, key: jax.Array, example: jax.Array) -> jax.Array:
        """Maps a key `[]` and one example to what the last policy makes of it."""
        for place, policy in enumerate(self.policies):
            example = policy(jax.random.fold_in(key, place), example)
        return example

    def looped(self, keys: jax.Array, examples: jax.Array) -> jax.Array:
        """The call for keys `[N]` and examples `[N, ...]`; see `looped`."""
        for place, policy in enumerate(self.policies):
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, place)
            examples = looped(policy, own, examples)
        return examples

    @property
    def branches(self) -> bool:
        """Whether a part has branches of which only one is computed, if it is not vmapped."""
        return any(getattr(policy, "branches", False) for policy in self.policies)
