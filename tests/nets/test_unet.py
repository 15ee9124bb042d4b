"""U-Net: its size at every level, and what its skip connections carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
SMALL = nets.UNet((2, 4, 6))


def test_shapes_of_odd_images():
    x = jax.ShapeDtypeStruct((2, 11, 14, 3), jnp.float32)
    got, variables = jax.eval_shape(lambda x: SMALL.init_with_output(KEY, x, train=False), x)
    kernels = {name: level["Conv_0"]["kernel"].shape for name, level in variables["params"].items()}
    assert got.shape == (2, 11, 14, 2)
    assert kernels == {
        "encoder0": (3, 3, 3, 2), "encoder1": (3, 3, 2, 4), "encoder2": (3, 3, 4, 6),
        "decoder1": (3, 3, 4 + 6, 4), "decoder0": (3, 3, 2 + 4, 2),
    }  # fmt: skip


def test_skips_carry_single_pixels():
    """Without what comes from below, a pixel's features depend on pixels four away at most."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 16, 16, 1)).astype(np.float32))
    variables = SMALL.init(KEY, x, train=False)
    kernel = variables["params"]["decoder0"]["Conv_0"]["kernel"]
    variables["params"]["decoder0"]["Conv_0"]["kernel"] = kernel.at[:, :, 2:].set(0.0)
    grads = jax.grad(lambda x: SMALL.apply(variables, x, train=False)[0, 8, 8].sum())(x)[0, :, :, 0]
    reached = np.argwhere(np.asarray(grads) != 0)
    assert len(reached) > 9 and (np.abs(reached - 8) <= 4).all()


def test_images_below_one_pixel_are_refused():
    with pytest.raises(BadInput, match=r"UNet.x must be images .* at least 4 x 4 .*\(1, 3, 8, 1\)"):
        SMALL.init(KEY, jnp.zeros((1, 3, 8, 1)), train=False)
    with pytest.raises(BadInput, match=r"UNet.widths must be a tuple"):
        nets.UNet(())
