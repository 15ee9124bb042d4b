"""The linear head of pixels, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3, 5)).astype(np.float32))


def test_every_pixel_is_mapped_alone():
    head = nets.heads.Pixel(4)
    params = head.init(KEY, X, train=False)["params"]["Dense_0"]
    params = {"kernel": params["kernel"], "bias": jnp.arange(4.0)}
    got = head.apply({"params": {"Dense_0": params}}, X, train=False)
    np.testing.assert_allclose(
        got, np.asarray(X) @ np.asarray(params["kernel"]) + np.arange(4.0), rtol=1e-5
    )


def test_resized_outputs_are_those_of_the_map_where_pixels_meet():
    """Of three times the size, the middle pixel of nine has the center of the one they are of."""
    small = nets.heads.Pixel(4)
    variables = small.init(KEY, X, train=False)
    large = nets.heads.Pixel(4, size=(6, 9)).apply(variables, X, train=False)
    np.testing.assert_allclose(
        large[:, 1::3, 1::3], small.apply(variables, X, train=False), rtol=1e-5, atol=1e-6
    )


def test_what_is_no_map_is_refused():
    with pytest.raises(BadInput, match=r"Pixel.features must be of type map \(.*\), not 'vector'"):
        nets.heads.Pixel(4).init(KEY, X.mean((1, 2)), train=False)
    for size in ((4,), (0, 4), (4.0, 4.0), 4):
        with pytest.raises(BadInput, match=r"Pixel.size must be \(H, W\)"):
            nets.heads.Pixel(4, size=size)
