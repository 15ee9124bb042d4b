"""Learnt: a policy that learns, with others before and behind it."""

import dataclasses
from typing import Any

import jax

from mtl_jax.augment.batched import looped
from mtl_jax.augment.chain import Chain
from mtl_jax.augment.image.ctaugment import CTAugment
from mtl_jax.augment.image.cutout import Cutout
from mtl_jax.augment.image.weak import weak_crop_flip
from mtl_jax.core.protocols import LearntPolicy, Policy
from mtl_jax.core.validation import require

NONE = Chain(())


@dataclasses.dataclass(frozen=True)
class Learnt:
    """`behind(policy(before(image)))`, of which the middle learns; probes end there.

    Attributes:
      policy: the one that learns.
      before: what comes before it.
      behind: what comes after it, which probes do not see.

    Raises:
      BadInput: if `policy` does not learn.
    """

    policy: LearntPolicy
    before: Policy = NONE
    behind: Policy = NONE

    def __post_init__(self):
        fine = isinstance(self.policy, LearntPolicy)
        require(fine, self, "policy", "must be a policy that learns", self.policy)

    @property
    def branches(self) -> bool:
        """Whether a part has branches of which only one is computed, if it is not vmapped."""
        parts = (self.policy, self.before, self.behind)
        return any(getattr(part, "branches", False) for part in parts)

    def init(self) -> Any:
        """What is learnt before the first step."""
        return self.policy.init()

    def __call__(self, key: jax.Array, image: jax.Array, state: Any) -> jax.Array:
        """Maps a key `[]`, an image and what was learnt to what the last policy makes of it."""
        first, middle, last = jax.random.split(key, 3)
        image = self.policy(middle, self.before(first, image), state)
        return self.behind(last, image)

    def looped(self, keys: jax.Array, images: jax.Array, state: Any) -> jax.Array:
        """The call for keys `[N]` and images `[N, ...]`; see `looped`."""
        first, middle, last = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
        images = looped(self.policy, middle, looped(self.before, first, images), state)
        return looped(self.behind, last, images)

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Any]:
        """Maps a key `[]` and an image to one changed by chance, and how."""
        first, middle = jax.random.split(key)
        return self.policy.probe(middle, self.before(first, image))

    def learn(self, state: Any, choices: Any, scores: jax.Array, mask: jax.Array) -> Any:
        """What the policy learns of probes `[B]`."""
        return self.policy.learn(state, choices, scores, mask)


def ctaugment_fixmatch(pixels: int = 4, flip: bool = True) -> Learnt:
    """The strong view of FixMatch (CTA): weak crop and flip, CTAugment, Cutout of half the side.

    Args:
      pixels: of the weak crop.
      flip: whether the weak view mirrors.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3
      (https://arxiv.org/abs/2001.07685).
    """
    return Learnt(CTAugment(), weak_crop_flip(pixels, flip), Chain((Cutout(0.5, fill=0.5),)))
