"""Chain: several policies in sequence."""

import dataclasses

import jax

from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class Chain(Policy):
    """Applies policies in order, each with its own key, derived from its index.

    The policies determine the input: images, signals or tokens. A policy may change the shape
    for the next one.

    Attributes:
      policies: `(key, example) -> example` each; an empty tuple is the identity.

    Raises:
      BadInput: for anything other than a tuple of policies.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.Chain((augment.Flip(1.0), augment.Flip(0.0, up_down=1.0)))
      >>> image = jnp.arange(4, dtype=jnp.uint8).reshape(2, 2, 1)
      >>> jax.jit(policy)(jax.random.key(0), image)[..., 0].tolist()  # Rotated by 180 degrees.
      [[3, 2], [1, 0]]
    """

    policies: tuple[Policy, ...]

    def __post_init__(self):
        valid = isinstance(self.policies, tuple) and all(
            isinstance(policy, Policy) for policy in self.policies
        )
        require(valid, self, "policies", "must be a tuple of policies", self.policies)

    def __call__(self, key: jax.Array, example: jax.Array) -> jax.Array:
        """Maps a key `[]` and one example to the output of the last policy."""
        for index, policy in enumerate(self.policies):
            example = policy(jax.random.fold_in(key, index), example)
        return example

    def apply_batched(self, keys: jax.Array, examples: jax.Array) -> jax.Array:
        """Batched call for keys `[N]` and examples `[N, ...]`; see `Policy`."""
        for index, policy in enumerate(self.policies):
            policy_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
            examples = policy.apply_batched(policy_keys, examples)
        return examples

    @property
    def has_branches(self) -> bool:
        """Whether a policy has branches of which only one is computed when not vmapped."""
        return any(policy.has_branches for policy in self.policies)
