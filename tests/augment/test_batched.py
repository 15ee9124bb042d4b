"""Looped: the same images as vmapped, whatever the policy is made of."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import (
    AutoAugment,
    Chain,
    CTAugment,
    Cutout,
    Flip,
    LearnablePolicyChain,
    RandAugment,
    weak_crop_flip,
)
from mtl_jax.augment.image import operations
from mtl_jax.augment.image.cta_operations import Operation, identity_op, posterize_op


def apply_batched(policy, keys, images, *state):
    return policy.apply_batched(keys, images, *state)


KEYS = jax.random.split(jax.random.key(0), 24)
IMAGES = np.random.default_rng(0).uniform(size=(24, 9, 12, 3)).astype(np.float32)
TONES = (operations.Invert(), operations.Equalize(), operations.Posterize(), operations.Contrast())
SEQUENCES = (((TONES[0], 0.5, 0.0), (TONES[2], 0.7, 0.5)), ((TONES[1], 0.9, 0.0),) * 2)
LEARNS = CTAugment(
    operations=(Operation(identity_op, ()), Operation(posterize_op, (8,))), threshold=0.5
)
PLAIN = (
    weak_crop_flip(2),
    RandAugment(()),
    RandAugment(TONES, probability=0.0),
    RandAugment(TONES, num_ops=3, probability=0.4),
    AutoAugment(()),
    AutoAugment(SEQUENCES),
    Chain(
        (Flip(), Chain((RandAugment(TONES, num_magnitude_bins=10), Cutout(0.5))), Flip(up_down=0.5))
    ),
)


@pytest.mark.parametrize("policy", PLAIN, ids=lambda policy: type(policy).__name__)
def test_it_is_what_each_key_makes_of_its_image(policy):
    found = jax.jit(apply_batched, static_argnums=0)(policy, KEYS, IMAGES)
    one = jax.jit(policy)
    np.testing.assert_array_equal(found, [one(k, x) for k, x in zip(KEYS, IMAGES, strict=True)])


@pytest.mark.parametrize(
    "policy",
    [LEARNS, LearnablePolicyChain(LEARNS, weak_crop_flip(1), Chain((Cutout(4),)))],
    ids=["alone", "between"],
)
def test_one_that_learns_is_told_what_it_has_learnt(policy):
    fresh = policy.init()
    learnt = fresh._replace(weights=fresh.weights.at[:, :, :6].set(0.0))
    mapped = jax.jit(lambda key, image, state: policy(key, image, state))
    found = {}
    for name, state in (("fresh", fresh), ("learnt", learnt)):
        found[name] = jax.jit(apply_batched, static_argnums=0)(policy, KEYS, IMAGES, state)
        wanted = [mapped(key, image, state) for key, image in zip(KEYS, IMAGES, strict=True)]
        np.testing.assert_allclose(found[name], wanted, atol=1e-6)
    assert (np.asarray(found["fresh"]) != np.asarray(found["learnt"])).any()


def test_no_images_are_no_images():
    policy = RandAugment(TONES)
    assert apply_batched(policy, KEYS[:0], IMAGES[:0]).shape == (0, 9, 12, 3)


def loops(policy):
    """Operations that stand in a loop, by name, loops in it too."""
    jaxpr = jax.make_jaxpr(lambda keys, images: apply_batched(policy, keys, images))(KEYS, IMAGES)
    return str([each for each in jaxpr.eqns if each.primitive.name in ("scan", "while")])


def test_only_branches_stand_in_the_loop_and_nothing_is_drawn_there():
    policy = Chain((Flip(), RandAugment(TONES), Cutout(0.5)))
    assert "cond" in loops(policy)
    assert "random_bits" not in loops(policy) and "random_fold_in" not in loops(policy)
    assert loops(Chain((Flip(), Cutout(0.5)))) == "[]"
