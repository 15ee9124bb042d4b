"""ViT: published sizes, its stages, what is pooled, and learnt prompts."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.tree import leaf_paths, num_params
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.vit import Block
from tests.nets.through import QUICK, through

X = jax.random.uniform(jax.random.key(1), (3, 4, 6, 2))
SMALL = nets.ViT(8, 2, 2, patch=2)
SHALLOW = SMALL.clone(prompts=nets.Prompts(3))
DEEP = SMALL.clone(prompts=nets.Prompts(3, deep=True))


@functools.cache
def drawn(trunk):
    draw = jax.jit(lambda: trunk.init(jax.random.key(0), X, train=False), compiler_options=QUICK)
    return jax.device_get(draw())


@pytest.mark.parametrize(
    ("settings", "count"),
    # timm's vit_{tiny,small,base,large}_patch16_224 without their heads of 1000.
    [
        ((192, 12, 3), 5_717_416 - 193_000),
        ((384, 12, 6), 22_050_664 - 385_000),
        ((768, 12, 12), 86_567_656 - 769_000),
        ((1024, 24, 16), 304_326_632 - 1_025_000),
    ],
    ids=str,
)
def test_published_sizes(settings, count):
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    init = functools.partial(nets.ViT(*settings).init, train=False)
    assert num_params(jax.eval_shape(init, key, x)["params"]) == count
    assert f"{count:,}" in nets.ViT.__doc__


def test_patches_are_cut_in_rows_and_have_their_places():
    """A kernel that reads the first pixel of a patch, and one that reads the last."""
    trunk = nets.ViT(2, 1, 1, patch=2)
    x = np.arange(24.0, dtype=np.float32).reshape(1, 4, 6, 1)
    patches = trunk.stages()[0]
    params = patches.init(jax.random.key(0), x, train=False)["params"]
    assert params["places"].shape == (2, 3, 2) and params["kernel"].shape == (2, 2, 1, 2)
    kernel = np.zeros((2, 2, 1, 2), np.float32)
    kernel[0, 0, 0, 0] = kernel[1, 1, 0, 1] = 1.0
    params = {**params, "kernel": kernel, "bias": np.full(2, 0.5, np.float32)}
    params["class"] = np.array([5.0, 6.0], np.float32)
    got = patches.apply({"params": params}, x, train=False)[0]
    np.testing.assert_allclose(got[0], params["class"] + params["class_place"])
    wanted = [[0, 7], [2, 9], [4, 11], [12, 19], [14, 21], [16, 23]]  # by hand
    places = params["places"].reshape(6, 2)
    np.testing.assert_allclose(got[1:], np.array(wanted) + 0.5 + places, rtol=1e-6)


@pytest.mark.parametrize("trunk", [SMALL, SHALLOW, DEEP], ids=["plain", "shallow", "deep"])
@pytest.mark.parametrize("pooling", ["class", "mean"])
def test_the_trunk_is_its_stages(trunk, pooling):
    trunk, variables = trunk.clone(pooling=pooling), drawn(trunk)
    names = ("patches", "block0", "block1", "norm")

    def both(variables, x):
        seen = [x]
        for name, stage in zip(names, trunk.stages(), strict=True):
            own = {"params": variables["params"][name]}
            seen.append(stage.apply(own, seen[-1], train=False))
        return trunk.apply(variables, x, train=False), trunk.pool(seen[-1]), seen[1:]

    whole, pooled, seen = jax.device_get(jax.jit(both, compiler_options=QUICK)(variables, X))
    x = seen[-1]
    count = 3 if trunk.prompts else 0
    assert {tokens.shape for tokens in seen} == {(3, 1 + count + 6, 8)}
    wanted = x[:, 0] if pooling == "class" else x[:, 1 + count :].mean(1)
    np.testing.assert_allclose(whole, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pooled, wanted, rtol=1e-5, atol=1e-6)


def test_prompts_only_add_their_own():
    bare = dict(zip(leaf_paths(drawn(SMALL)), jax.tree.leaves(drawn(SMALL)), strict=True))
    for trunk, count in ((SHALLOW, 1), (DEEP, 2)):
        own = dict(zip(leaf_paths(drawn(trunk)), jax.tree.leaves(drawn(trunk)), strict=True))
        more = own.keys() - bare.keys()
        assert len(more) == count
        assert all(re.fullmatch(r"params/\w+/prompt/tokens", path) for path in more)
        for path, leaf in bare.items():
            np.testing.assert_array_equal(own[path], leaf)
        bound = math.sqrt(6 / (3 * 2**2 + 8))
        tokens = np.concatenate([own[path] for path in more])
        assert 0.8 * bound < np.abs(tokens).max() < bound and tokens.min() < 0


def test_deep_prompts_replace_those_before():
    _, _, block, _ = DEEP.stages()
    assert isinstance(block, Block)
    params = {"params": drawn(DEEP)["params"]["block1"]}
    x = jax.random.normal(jax.random.key(2), (2, 10, 8))
    moved = {"params": {**params["params"], "prompt": {"tokens": np.ones((3, 8), np.float32)}}}
    apply = jax.jit(functools.partial(block.apply, train=False), compiler_options=QUICK)
    before = apply(params, x)
    np.testing.assert_array_equal(apply(params, x.at[:, 1:4].add(1.0)), before)
    assert not np.allclose(apply(moved, x), before)


@pytest.mark.slow
def test_everything_learns_and_nothing_is_kept():
    trunk = nets.ViT(8, 2, 2, patch=2, prompts=nets.Prompts(2, True), adapter=nets.Adapter(3))
    seen = through(trunk)
    assert seen.stats == {} and not trunk.convolutional
    grads = zip(leaf_paths(seen.params), jax.tree.leaves(seen.grads["row"]), strict=True)
    still = [path for path, leaf in grads if not (np.isfinite(leaf).all() and (leaf != 0).any())]
    # The lower halves of adapters wait for the upper ones; a shift of all keys changes nothing.
    allowed = r"tasks/heads/task/\w+|.*/adapter_\w+/down/\w+|.*/attention/key/bias"
    assert [path for path in still if not re.fullmatch(allowed, path)] == []


@pytest.mark.slow
def test_seeds_side_by_side():
    keys = jax.random.split(jax.random.key(5), 2)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def features(keys):
        def one(key):
            return DEEP.apply(DEEP.init(key, X, train=False), X, train=True)

        return jax.vmap(one)(keys), jnp.stack([one(key) for key in keys])

    together, apart = features(keys)
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-5)
    assert not np.allclose(apart[0], apart[1])


def test_text_makes_it_again():
    trunk = SMALL.clone(prompts=nets.Prompts(3), adapter=nets.Adapter())
    again = eval(to_source(trunk), dict(vars(nets)))
    assert again == trunk and fingerprint(again) == fingerprint(trunk)
    assert "prompts" not in to_source(SMALL) and "adapter" not in to_source(SMALL)


def test_bad_settings_and_images_are_refused():
    with pytest.raises(BadInput, match=r"ViT.pooling must be one of \('class', 'mean'\), not 'x'"):
        nets.ViT(pooling="x")
    with pytest.raises(BadInput, match=r"ViT.prompts must be a nets.Prompts\(\) or None, not 3"):
        nets.ViT(prompts=3)
    with pytest.raises(BadInput, match=r"ViT.patch must be at least 1, not 0"):
        nets.ViT(patch=0)
    with pytest.raises(BadInput, match=r"ViT.ratio must lie between"):
        nets.ViT(ratio=0.0)
    with pytest.raises(BadInput, match=r"Prompts.count must be at least 1, not 0"):
        nets.Prompts(0)
    with pytest.raises(BadInput, match=r"Prompts.deep must be True or False, not 'yes'"):
        nets.Prompts(deep="yes")
    for shape in ((1, 5, 4, 3), (1, 16)):
        with pytest.raises(BadInput, match=r"ViT.x must be images \[N, H, W, C\] with sides"):
            SMALL.init(jax.random.key(0), jnp.zeros(shape), train=False)


def test_tokens_are_the_patches_and_the_summary_what_is_pooled():
    for trunk in (SHALLOW, SHALLOW.clone(pooling="mean")):

        def apply(x, trunk=trunk):
            variables = trunk.init(jax.random.key(0), x, train=False)
            kinds = (None, "tokens")
            return [trunk.clone(features=kind).apply(variables, x, train=False) for kind in kinds]

        vector, (summary, tokens, mask) = jax.jit(apply, compiler_options=QUICK)(X)
        np.testing.assert_array_equal(summary, vector)
        assert tokens.shape == (3, 6, 8) and mask.shape == (3, 6) and (mask == 1).all()
    np.testing.assert_allclose(tokens.mean(1), vector, rtol=1e-5, atol=1e-6)
