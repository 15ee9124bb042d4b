"""Chain: the order is kept, and no two places share a key."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import Chain, Cutout, RandomTranslate
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import BadInput

IMAGE = np.full((5, 5, 1), 0.5, np.float32)
KEYS = jax.random.split(jax.random.key(1), 40)


class Offset(Policy):
    """Uniform noise in the place of the image."""

    def __call__(self, key, image):
        return jax.random.uniform(key, image.shape)


class Halved(Policy):
    """Half of every pixel."""

    def __call__(self, key, image):
        return image / 2


def over(policy):
    return np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, IMAGE))


def test_the_order_is_kept():
    first, last = over(Chain((Halved(), Offset()))), over(Chain((Offset(), Halved())))
    assert first.max() > 0.9 and last.max() <= 0.5


def test_each_place_has_its_own_key():
    chained = over(Chain((Offset(),)))
    assert (chained != over(Chain((Halved(), Offset())))).all()
    # With one key for both, the second RandomTranslate would double the first and never undo it.
    twice = over(Chain((RandomTranslate(1), RandomTranslate(1))))
    zeros = (twice == 0).sum((1, 2, 3))
    assert len(np.unique(zeros)) > 4


def test_a_chain_in_a_chain_and_an_empty_one():
    inner = Chain((Cutout(2),))
    assert (over(Chain((inner, Chain(())))) != IMAGE).any()
    np.testing.assert_array_equal(over(Chain(()))[0], IMAGE)


@pytest.mark.parametrize(
    "policies",
    [RandomTranslate(1)],
    ids=str,
)
def test_settings_are_checked(policies):
    with pytest.raises(BadInput, match=r"Chain\.policies must be a tuple"):
        Chain(policies)
