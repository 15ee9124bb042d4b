"""Policies of tokens: what each does by hand, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment.tokens import (
    BackTranslated,
    NeighbourSwap,
    OriginalText,
    RandomSwap,
    Synonyms,
    TokenDeletion,
    TokenMask,
)
from mtl_jax.augment.tokens.neighbour_swap import swap_pairs
from mtl_jax.augment.tokens.random_swap import apply_swaps
from mtl_jax.augment.tokens.token_deletion import compact

KEYS = jax.random.split(jax.random.key(0), 400)
TEXT = np.array([1, 5, 6, 7, 8, 2, 0, 0], np.int32)


def over(policy, tokens=TEXT):
    return np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, tokens))


def test_mask_covers_its_share_of_what_is_not_special():
    covered = over(TokenMask(9, 0.3, special=(0, 1, 2))) == 9
    assert not covered[:, [0, 5, 6, 7]].any()
    np.testing.assert_allclose(covered[:, 1:5].mean(0), 0.3, atol=0.08)
    assert (over(TokenMask(9, 1.0))[0] == [9, 9, 9, 9, 9, 9, 0, 0]).all()


def test_what_is_left_closes_up():
    gone = jnp.array([False, True, False, True, False, False, False, False])
    found = compact(jnp.asarray(TEXT), gone, 3)
    np.testing.assert_array_equal(found, [1, 6, 8, 2, 0, 0, 3, 3])  # by hand


def test_deletion_takes_its_share_and_leaves_one_of_all():
    left = (over(TokenDeletion(0.3, special=(1, 2))) > 2).sum(1)
    assert abs(left.mean() - 2.8) < 0.15  # by hand: 0.7 * 4, and rarely none of four
    only = over(TokenDeletion(1.0, special=(1, 2)))
    np.testing.assert_array_equal(only[:, [0, 2, 3]], [[1, 2, 0]] * len(KEYS))
    assert set(only[:, 1]) == {5, 6, 7, 8}


@pytest.mark.parametrize(
    ("first", "wanted"), [(0, [1, 5, 7, 6, 2, 8, 0, 0]), (1, [1, 6, 5, 8, 7, 2, 0, 0])]
)
def test_pairs_of_neighbours(first, wanted):
    may = jnp.array([False, True, True, True, True, True, False, False])
    found = swap_pairs(jnp.asarray(TEXT), jnp.int32(first), jnp.ones(8, bool), may)
    np.testing.assert_array_equal(found, wanted)  # by hand


def test_neighbour_swap_moves_by_one_place_at_its_probability():
    found = over(NeighbourSwap(0.4), np.arange(1, 9, dtype=np.int32))
    moved = np.abs(found - np.arange(1, 9))
    assert moved.max() == 1
    np.testing.assert_allclose(moved[:, 1:-1].mean(), 0.4, atol=0.06)
    np.testing.assert_allclose(moved[:, [0, -1]].mean(), 0.2, atol=0.06)


def test_swaps_one_after_another_and_only_so_many():
    pairs = jnp.array([[0, 1], [1, 2], [0, 3]])
    found = apply_swaps(jnp.array([5, 6, 7, 8]), pairs, jnp.int32(2))
    np.testing.assert_array_equal(found, [6, 7, 5, 8])  # by hand


@pytest.mark.parametrize(("share", "moved"), [(0.1, {2}), (0.5, {2, 4, 5, 6})])
def test_random_swap_makes_its_number_of_swaps(share, moved):
    # By hand, of six tokens: one swap moves two; three swaps make an odd permutation.
    found = over(RandomSwap(share))
    np.testing.assert_array_equal(np.sort(found), np.broadcast_to(np.sort(TEXT), found.shape))
    assert (found[:, 6:] == 0).all()
    assert set((found != TEXT).sum(1)) == moved
    assert (found != TEXT).any(0)[:6].all()


def test_a_lone_token_is_swapped_with_none():
    text = np.array([1, 5, 2, 0], np.int32)
    assert (over(RandomSwap(0.5, special=(0, 1, 2)), text) == text).all()


def test_synonyms_are_as_likely_as_each_other():
    found = over(Synonyms(((7, 70, 71, 72), (5, 50)), 0.6))
    np.testing.assert_array_equal(np.delete(found, [1, 3], 1)[0], np.delete(TEXT, [1, 3]))
    assert set(found[:, 1]) == {5, 50} and abs((found[:, 1] == 50).mean() - 0.6) < 0.08
    shares = [(found[:, 3] == token).mean() for token in (7, 70, 71, 72)]
    np.testing.assert_allclose(shares, [0.4, 0.2, 0.2, 0.2], atol=0.07)
    both = ((found[:, 1] == 50) & (found[:, 3] != 7)).mean()
    assert abs(both - 0.36) < 0.08, "tokens are replaced apart from each other"


def test_versions_of_a_text():
    versions = np.stack([TEXT, TEXT + 10, TEXT + 20])
    assert (over(OriginalText(), versions) == TEXT).all()
    found = over(BackTranslated(), versions)
    second = (found == versions[2]).all(1)
    assert ((found == versions[1]).all(1) | second).all() and abs(second.mean() - 0.5) < 0.1
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    ("policy", "versions"),
    [(OriginalText(), TEXT), (BackTranslated(), TEXT[None]), (BackTranslated(), TEXT[None, None])],
    ids=str,
)
def test_one_text_has_no_versions(policy, versions):
    with pytest.raises(ValueError, match=r"versions of one text \[V, T\]"):
        policy(KEYS[0], versions)
    with pytest.raises(ValueError, match="integers, not float32"):
        policy(KEYS[0], np.zeros((3, 4), np.float32))
