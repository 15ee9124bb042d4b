"""Every architecture and sharing penalty over a trunk that gives maps, or trees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.penalty import Proximal
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import make_model
from tests.dense import CLASSES, DATA, TRUNK, Strides, Words
from tests.laws.test_nets import MAKERS, fields_of
from tests.laws.test_sharing import PENALTIES
from tests.nets.through import QUICK

HEADS = {"classes": nets.heads.Pixel(CLASSES), "corner": 2}
OUTPUTS = {"classes": (2, 8, 8, CLASSES), "corner": (2, 2)}
X = jnp.asarray(DATA.train["inputs"][:2])
KEY = jax.random.key(0)
# Its choices begin after the warm-up, which would hide their gradients.
TOLD = {"AdaShare": {"warm_up": 0, "curriculum": 0}}
# Parameters that only some samples of a choice reach.
CHOSEN = {"LTB": "branch", "SpotTune": "block"}
# Its features are one vector for each task, by attention over the pixels.
VECTORS = {"Attention"}
# Architectures that read one array; the others mix trees leaf by leaf.
TREES = {"CGC", "DSelectK", "MMoE"}


def made(name, trunk=TRUNK):
    fields = fields_of(MAKERS[name]) & {"trunk", "expert"}
    return MAKERS[name](**dict.fromkeys(fields, trunk), **TOLD.get(name, {}))


# What is said of one task alone is not said of wrappers without parameters of tasks.
TRUNKS = {name: made(name) for name in MAKERS if name not in VECTORS} | {
    "PerTaskTrunk": nets.PerTaskTrunk(TRUNK),
    "TwoBranch": nets.TwoBranch(TRUNK),
    "LoRA": nets.LoRA(TRUNK, rank=2),
    "SSF": nets.SSF(TRUNK),
    "StochNorm": nets.StochNorm(TRUNK),
    "SpotTune": nets.SpotTune(TRUNK, policy=nets.MLP((4,))),
}
FAST = ("CrossStitch", "FiLM", "PerTaskTrunk")
CASES = [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in TRUNKS]


@functools.cache
def through(name):
    """Outputs in training, and the gradient of each task, at parameters without symmetries."""
    model = make_model(TRUNKS[name], HEADS)

    def every(x):
        params, stats = model.init(KEY, x)
        leaves, treedef = jax.tree.flatten(params)
        keys = jax.random.split(jax.random.key(1), len(leaves))
        params = treedef.unflatten(
            leaf + 0.1 * jax.random.normal(key, leaf.shape)
            for key, leaf in zip(keys, leaves, strict=True)
        )

        def squares(params):
            outputs, _ = model.apply(params, stats, x, train=True, key=jax.random.key(3))
            totals = [jnp.square(outputs.logits[task] - 1.0).sum() for task in HEADS]
            return jnp.stack(totals), outputs

        _, pull, outputs = jax.vjp(squares, params, has_aux=True)
        rows = jnp.eye(len(HEADS))
        return outputs, {task: pull(row)[0] for task, row in zip(HEADS, rows, strict=True)}

    return jax.device_get(jax.jit(every, compiler_options=QUICK)(X))


@pytest.mark.parametrize("name", TRUNKS)
def test_shapes(name):
    model = make_model(TRUNKS[name], HEADS)

    def outputs(key, x):
        return model.apply(*model.init(key, x), x, train=False)[0].logits

    assert jax.tree.map(jnp.shape, jax.eval_shape(outputs, KEY, X)) == OUTPUTS


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_all_parameters_and_each_task_its_own(name):
    outputs, grads = through(name)
    assert {task: out.shape for task, out in outputs.logits.items()} == OUTPUTS
    by_task = zip(*(jax.tree.leaves(grads[task]) for task in HEADS), strict=True)
    for path, leaves in zip(leaf_paths(grads["corner"]), by_task, strict=True):
        assert all(np.isfinite(leaf).all() for leaf in leaves), path
        chosen = name in CHOSEN and CHOSEN[name] in path
        assert chosen or any((leaf != 0).any() for leaf in leaves), path
        if path.startswith("tasks/"):
            assert (sum((leaf != 0).astype(int) for leaf in leaves) <= 1).all(), path


@pytest.mark.parametrize("name", VECTORS)
def test_a_head_of_maps_over_vectors_is_refused(name):
    with pytest.raises(BadInput, match=r"'classes': the head Pixel\(.*reads a map, .*a vector"):
        make_model(made(name), HEADS).init(KEY, X)


@pytest.mark.parametrize("trunk", [Strides(), Words()], ids=lambda trunk: type(trunk).__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_a_tree_of_features_is_kept_or_refused_by_name(name, trunk):
    """A trunk without stages is refused at once where they are copied; gates read no tokens."""
    x = X if isinstance(trunk, Strides) else jnp.zeros((2, 6), jnp.int32)
    heads = {"a": 2, "b": 3}

    def outputs():
        model = make_model(made(name, trunk), heads)
        return model.apply(*model.init(KEY, x), x, train=False)[0].logits

    if name in TREES and (isinstance(trunk, Strides) or name == "DSelectK"):
        assert jax.tree.map(jnp.shape, jax.eval_shape(outputs)) == {"a": (2, 2), "b": (2, 3)}
        return
    with pytest.raises(BadInput, match=rf"{name}\.(trunk|expert) must|gates and .*, not int32"):
        jax.eval_shape(outputs)


@functools.cache
def penalized():
    """Values and gradients of all penalties of three convolutional trunks, compiled together."""
    params, _ = make_model(TRUNKS["PerTaskTrunk"], dict.fromkeys("abc", 2)).init(KEY, X)
    slopes = [jax.value_and_grad(lambda p, each=each: each(p, None)) for each in PENALTIES]
    return jax.device_get(
        jax.jit(lambda p: [slope(p) for slope in slopes], compiler_options=QUICK)(params)
    )


@pytest.mark.parametrize("place", range(len(PENALTIES)), ids=lambda i: type(PENALTIES[i]).__name__)
def test_penalties_and_proximal_steps(place):
    value, grad = penalized()[place]
    assert np.isfinite(value) and value > 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad))
    assert (grad["tasks"]["trunk"]["stage0"]["Conv_0"]["kernel"] != 0).any()
    if isinstance(PENALTIES[place], Proximal):
        params, _ = make_model(TRUNKS["PerTaskTrunk"], dict.fromkeys("abc", 2)).init(KEY, X)
        after = jax.jit(PENALTIES[place].prox)(params, jnp.float32(0.1))
        kernels = [tree["tasks"]["trunk"]["stage0"]["Conv_0"]["kernel"] for tree in (params, after)]
        assert np.isfinite(kernels[1]).all() and np.abs(kernels[1]).sum() < np.abs(kernels[0]).sum()
