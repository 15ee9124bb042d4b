"""AutoAugment: a sequence is drawn as a whole, and its steps come as often as they should."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import AutoAugment, autoaugment_cifar10
from mtl_jax.augment.image import operations
from mtl_jax.core.validation import BadInput

KEYS = jax.random.split(jax.random.key(0), 3000)
INVERT, SOLAR = operations.Invert(), operations.Solarize()
IMAGE = np.array([10, 200], np.uint8).reshape(1, 2, 1)


def outcomes(policy):
    """Shares of what two pixels become."""
    out = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, IMAGE)).reshape(-1, 2)
    values, counts = np.unique(out, axis=0, return_counts=True)
    return dict(zip(map(tuple, values.tolist()), counts / len(out), strict=True))


def test_a_sequence_is_drawn_as_a_whole():
    # Solarize by half leaves 10 and turns 200 into 55; inverted that is 245 and 200.
    policy = AutoAugment(
        (((SOLAR, 1.0, 0.5), (INVERT, 1.0, 0.0)), ((SOLAR, 0.0, 0.5), (INVERT, 0.4, 0.0)))
    )
    found = outcomes(policy)
    wanted = {(245, 200): 0.5, (10, 200): 0.3, (245, 55): 0.2}  # by hand.
    assert found.keys() == wanted.keys()
    for pixels, share in wanted.items():
        assert abs(found[pixels] - share) < 0.04


def test_the_policy_of_cifar10():
    policy = autoaugment_cifar10()
    steps = [step for row in policy.sequences for step in row]
    assert len(policy.sequences) == 25 and len(steps) == 50
    named = [type(step[0]).__name__ for step in steps]
    # Counted in the table, which torchvision, PaddlePaddle and others print alike.
    assert named.count("Equalize") == 9 and named.count("AutoContrast") == 7
    assert named.count("TranslateY") == 5 and named.count("ShearX") == 0
    image = jax.ShapeDtypeStruct((32, 32, 3), np.uint8)
    assert jax.eval_shape(policy, KEYS[0], image) == image
    assert policy.has_branches


@pytest.mark.parametrize(
    "sequences",
    [(((INVERT, 1.0, 0.0),), ())],
    ids=["lengths"],
)
def test_settings_are_checked(sequences):
    with pytest.raises(BadInput, match=r"AutoAugment\.sequences must"):
        AutoAugment(sequences)
