"""Images as pretrained weights expect them: values by hand, and settings that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import IMAGENET, Preprocessing


@pytest.mark.parametrize("shape", [(2, 2, 3), (5, 2, 2, 3)], ids=str)
def test_the_mean_becomes_0(variant, shape):
    x = jnp.broadcast_to(jnp.array([0.485, 0.456, 0.406 + 0.225]), shape)
    wanted = np.broadcast_to([0.0, 0.0, 1.0], shape)  # by hand
    np.testing.assert_allclose(variant(IMAGENET)(x), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        ({"mean": (0.5,), "std": (0.5,)}, (-1.0, 1.0)),
        ({"mean": (0.0,), "std": (1.0,), "range": (-1.0, 1.0)}, (-1.0, 1.0)),
        ({"mean": (127.0,), "std": (128.0,), "range": (0.0, 255.0)}, (-127 / 128, 1.0)),
    ],
)
def test_what_black_and_white_become(given, ends):
    x = jnp.array([0.0, 1.0]).reshape(1, 2, 1)
    np.testing.assert_allclose(Preprocessing(8, **given)(x).ravel(), ends, rtol=1e-6)  # by hand


def test_it_has_no_leaves():
    assert jax.tree.leaves(IMAGENET) == []
    assert jax.tree.map(lambda leaf: 2 * leaf, (IMAGENET, 3)) == (IMAGENET, 6)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"std": (1.0, 1.0)}, r"Preprocessing.std must have as many channels as mean, 1, not \(1"),
        ({"range": (1.0, 0.0)}, r"Preprocessing.range must be \(low, high\) with low < high"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(changes, rule):
    with pytest.raises(BadInput, match=rule):
        Preprocessing(**{"size": 8, "mean": (0.5,), "std": (1.0,), **changes})
