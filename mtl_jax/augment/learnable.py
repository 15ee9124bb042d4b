"""LearnablePolicyChain: a learnable policy between two fixed ones."""

import dataclasses

import jax

from mtl_jax.augment.chain import Chain
from mtl_jax.augment.image.ctaugment import CTAugment
from mtl_jax.augment.image.cutout import Cutout
from mtl_jax.augment.image.weak import weak_crop_flip
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require

IDENTITY = Chain(())


@dataclasses.dataclass(frozen=True)
class LearnablePolicyChain(LearnablePolicy):
    """`after(policy(before(image)))`, where the middle one learns; probes end there.

    Attributes:
      policy: the learnable policy.
      before: policy applied before it.
      after: policy applied after it, except to probes.

    Raises:
      BadInput: if `policy` is not learnable.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.LearnablePolicyChain(augment.CTAugment(), after=augment.Cutout(0.5))
      >>> image = jax.ShapeDtypeStruct((8, 8, 3), jnp.float32)
      >>> jax.eval_shape(policy, jax.random.key(0), image, policy.init()).shape
      (8, 8, 3)
    """

    policy: LearnablePolicy
    before: Policy = IDENTITY
    after: Policy = IDENTITY

    def __post_init__(self):
        valid = isinstance(self.policy, LearnablePolicy)
        require(valid, self, "policy", "must be a learnable policy", self.policy)

    @property
    def has_branches(self) -> bool:
        """Whether a part has branches of which only one is computed when not vmapped."""
        parts = (self.policy, self.before, self.after)
        return any(part.has_branches for part in parts)

    def init(self) -> Tree:
        """Returns the initial state."""
        return self.policy.init()

    def __call__(self, key: jax.Array, image: jax.Array, state: Tree) -> jax.Array:
        """Maps a key `[]`, an image and the state to the output of the last policy."""
        before_key, policy_key, after_key = jax.random.split(key, 3)
        image = self.policy(policy_key, self.before(before_key, image), state)
        return self.after(after_key, image)

    def apply_batched(self, keys: jax.Array, images: jax.Array, state: Tree) -> jax.Array:
        """Batched call for keys `[N]` and images `[N, ...]`; see `LearnablePolicy`."""
        split = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)
        before_keys, policy_keys, after_keys = split(keys)
        images = self.before.apply_batched(before_keys, images)
        images = self.policy.apply_batched(policy_keys, images, state)
        return self.after.apply_batched(after_keys, images)

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Tree]:
        """Maps a key `[]` and an image to one changed at random, and the choice."""
        before_key, policy_key = jax.random.split(key)
        return self.policy.probe(policy_key, self.before(before_key, image))

    def update(self, state: Tree, choices: Tree, scores: jax.Array, mask: jax.Array) -> Tree:
        """The state updated from probes `[B]`."""
        return self.policy.update(state, choices, scores, mask)


def ctaugment_fixmatch(pixels: int = 4, flip: bool = True) -> LearnablePolicyChain:
    """The strong view of FixMatch (CTA): weak crop and flip, CTAugment, Cutout of half the side.

    Args:
      pixels: of the weak crop.
      flip: whether the weak augmentation mirrors.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3
      (https://arxiv.org/abs/2001.07685).

    Example:
      >>> from mtl_jax import augment
      >>> augment.ctaugment_fixmatch().before
      ReflectCrop(pixels=4, flip=0.5)
    """
    return LearnablePolicyChain(
        CTAugment(), weak_crop_flip(pixels, flip), Chain((Cutout(0.5, fill=0.5),))
    )
