"""LearnablePolicyChain: a learnable policy between two fixed ones."""

import dataclasses
from typing import Any

import jax

from mtl_jax.augment.chain import Chain
from mtl_jax.augment.image.ctaugment import CTAugment
from mtl_jax.augment.image.cutout import Cutout
from mtl_jax.augment.image.weak import weak_crop_flip
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.validation import require

NONE = Chain(())


@dataclasses.dataclass(frozen=True)
class LearnablePolicyChain(LearnablePolicy):
    """`after(policy(before(image)))`, where the middle one learns; probes end there.

    Attributes:
      policy: the learnable policy.
      before: policy applied before it.
      after: policy applied after it, except to probes.

    Raises:
      BadInput: if `policy` is not learnable.
    """

    policy: LearnablePolicy
    before: Policy = NONE
    after: Policy = NONE

    def __post_init__(self):
        fine = isinstance(self.policy, LearnablePolicy)
        require(fine, self, "policy", "must be a policy that learns", self.policy)

    @property
    def has_branches(self) -> bool:
        """Whether a part has branches of which only one is computed when not vmapped."""
        parts = (self.policy, self.before, self.after)
        return any(part.has_branches for part in parts)

    def init(self) -> Any:
        """Returns the initial state."""
        return self.policy.init()

    def __call__(self, key: jax.Array, image: jax.Array, state: Any) -> jax.Array:
        """Maps a key `[]`, an image and the state to the output of the last policy."""
        first, middle, last = jax.random.split(key, 3)
        image = self.policy(middle, self.before(first, image), state)
        return self.after(last, image)

    def apply_batched(self, keys: jax.Array, images: jax.Array, state: Any) -> jax.Array:
        """Batched call for keys `[N]` and images `[N, ...]`; see `LearnablePolicy`."""
        first, middle, last = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
        images = self.policy.apply_batched(middle, self.before.apply_batched(first, images), state)
        return self.after.apply_batched(last, images)

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Any]:
        """Maps a key `[]` and an image to one changed at random, and the choice."""
        first, middle = jax.random.split(key)
        return self.policy.probe(middle, self.before(first, image))

    def update(self, state: Any, choices: Any, scores: jax.Array, mask: jax.Array) -> Any:
        """The state updated from probes `[B]`."""
        return self.policy.update(state, choices, scores, mask)


def ctaugment_fixmatch(pixels: int = 4, flip: bool = True) -> LearnablePolicyChain:
    """The strong view of FixMatch (CTA): weak crop and flip, CTAugment, Cutout of half the side.

    Args:
      pixels: of the weak crop.
      flip: whether the weak augmentation mirrors.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3
      (https://arxiv.org/abs/2001.07685).
    """
    return LearnablePolicyChain(
        CTAugment(), weak_crop_flip(pixels, flip), Chain((Cutout(0.5, fill=0.5),))
    )
