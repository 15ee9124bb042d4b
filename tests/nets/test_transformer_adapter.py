"""Adapters in blocks: nothing at first, then what the formula says; only they may be trained."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.peft.transformer_adapter import Bottleneck
from tests.nets.through import QUICK

IMAGES = jax.random.uniform(jax.random.key(1), (3, 4, 4, 2))
TEXTS = jnp.array([[3, 1, 4, 0], [2, 2, 0, 0]], jnp.int32)


def vit(adapter):
    return nets.ViT(8, 2, 2, patch=2, adapter=adapter), IMAGES


def bert(adapter):
    return nets.BERT(10, 8, 2, 2, 16, places=4, adapter=adapter), TEXTS


def drawn(make, adapter):
    """The trunk and its inputs, and what it draws and says."""
    trunk, x = make(adapter)

    def both():
        variables = trunk.init(jax.random.key(0), x, train=False)
        return variables, trunk.apply(variables, x, train=False)

    return trunk, x, *jax.device_get(jax.jit(both, compiler_options=QUICK)())


def test_by_hand():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    params = Bottleneck(2).init(jax.random.key(0), x)["params"]
    draw = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: draw.normal(size=leaf.shape).astype(np.float32), params)
    inner = x @ params["down"]["kernel"] + params["down"]["bias"]
    wanted = inner * scipy.special.ndtr(inner) @ params["up"]["kernel"] + params["up"]["bias"]
    np.testing.assert_allclose(Bottleneck(2).apply({"params": params}, x), x + wanted, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("make", [vit, bert])
@pytest.mark.parametrize("both", [True, False])
def test_it_starts_as_the_net_without(make, both):
    adapter = nets.Adapter(3, after_attention=both)
    _, _, variables, said = drawn(make, adapter)
    _, _, bare, wanted = drawn(make, None)
    more = set(leaf_paths(variables)) - set(leaf_paths(bare))
    places = ("attention", "mlp") if both else ("mlp",)
    assert more == {
        f"params/block{at}/adapter_{place}/{layer}/{leaf}"
        for at in range(2)
        for place in places
        for layer in ("down", "up")
        for leaf in ("bias", "kernel")
    }
    rest = [
        leaf
        for path, leaf in zip(leaf_paths(variables), jax.tree.leaves(variables), strict=True)
        if not re.search("/adapter", path)
    ]
    jax.tree.map(np.testing.assert_array_equal, rest, jax.tree.leaves(bare))
    np.testing.assert_allclose(said, wanted, rtol=1e-5, atol=1e-6)
    assert wanted.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("make", [vit, bert])
def test_the_upper_matrices_learn_at_once_and_then_the_lower(make):
    trunk, x, variables, _ = drawn(make, nets.Adapter(3))

    @functools.partial(jax.jit, compiler_options=QUICK)
    def grads(params):
        return jax.grad(lambda p: (trunk.apply({"params": p}, x, train=True) ** 3).sum())(params)

    def size(tree, layer):
        parts = [block for name, block in tree.items() if name.startswith("block")]
        leaves = [part[name][layer]["kernel"] for part in parts for name in part if "adap" in name]
        return [float(jnp.abs(leaf).max()) for leaf in leaves]

    first = grads(variables["params"])
    assert min(size(first, "up")) > 0 and max(size(first, "down")) == 0
    moved = jax.tree.map(lambda p, g: p - 0.01 * g, variables["params"], first)
    assert min(size(grads(moved), "down")) > 0


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"Adapter.width must be at least 1, not 0"):
        nets.Adapter(0)
    with pytest.raises(BadInput, match=r"Adapter.after_attention must be True or False, not 2"):
        nets.Adapter(after_attention=2)
    for make in (nets.ViT, nets.BERT):
        with pytest.raises(BadInput, match=rf"{make.__name__}.adapter must be a nets.Adapter\(\)"):
            make(adapter=3)
