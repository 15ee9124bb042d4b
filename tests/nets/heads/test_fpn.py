"""Feature pyramid network: the way from coarse to fine by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.features import Pyramid
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.heads.fpn import TopDown

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
MAPS = Pyramid(
    tuple(
        jnp.asarray(RNG.normal(size=(2, *shape)).astype(np.float32))
        for shape in ((8, 12, 3), (4, 6, 5), (2, 3, 7))
    )
)


def test_top_down_by_hand():
    module = TopDown(4)
    params = module.init(KEY, MAPS)["params"]
    middle = jnp.zeros((3, 3, 4, 4)).at[1, 1].set(jnp.eye(4))
    params = {
        name: {**layer, "kernel": middle} if name.startswith("output") else layer
        for name, layer in params.items()
    }
    lateral = [
        np.asarray(x) @ np.asarray(params[f"lateral{k}"]["kernel"]) for k, x in enumerate(MAPS.maps)
    ]
    wanted = [lateral[2]]
    for fine in (lateral[1], lateral[0]):
        wanted.insert(0, fine + wanted[0].repeat(2, 1).repeat(2, 2))
    for got, each in zip(module.apply({"params": params}, MAPS).maps, wanted, strict=True):
        np.testing.assert_allclose(got, each, rtol=1e-5, atol=1e-5)


def test_outputs_are_a_sum_over_levels():
    head = nets.heads.FPN(3, size=(16, 24), width=4)
    variables = head.init(KEY, MAPS, train=False)
    params = variables["params"]
    assert params["outputs"]["kernel"].shape == (4, 3)
    outputs = {None: head.apply(variables, MAPS, train=False)}
    assert outputs[None].shape == (2, 16, 24, 3) and outputs[None].std() > 0
    for k in range(3):  # With scale 0 a level adds nothing.
        norm = {"scale": jnp.zeros(4), "bias": jnp.zeros(4)}
        changed = {"params": {**params, f"norm{k}": norm}}
        outputs[k] = outputs[None] - head.apply(changed, MAPS, train=False)
        assert (outputs[k] != 0).any()
    np.testing.assert_allclose(outputs[0] + outputs[1] + outputs[2], outputs[None], atol=1e-4)


def test_it_reads_the_pyramid_of_a_trunk_of_odd_images():
    trunk, head = nets.ResNet(18, width=2, features="pyramid"), nets.heads.FPN(3, width=4)

    def outputs(x):
        features, _ = trunk.init_with_output(KEY, x, train=False)
        return head.init_with_output(KEY, features, train=False)[0]

    x = jax.ShapeDtypeStruct((2, 27, 18, 3), jnp.float32)
    assert jax.eval_shape(outputs, x).shape == (2, 27, 18, 3)


def test_what_is_no_pyramid_is_refused():
    with pytest.raises(BadInput, match=r"FPN.features must be of type pyramid \(.*\), not 'map'"):
        nets.heads.FPN(2).init(KEY, MAPS.maps[0], train=False)
