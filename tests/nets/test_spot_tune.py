"""SpotTune: choices by hand, gradients, the frozen copy, and both copies of one source."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from tests.nets.through import QUICK

X = jax.random.normal(jax.random.key(1), (6, 8, 8, 1))
MLP = nets.MLP((5, 4), batch_norm=True)
SPOT = nets.SpotTune(MLP, policy=nets.MLP((3,)))
KEY = jax.random.key(5)
TRUNKS = [
    MLP,
    nets.CNN((3, 4)),
    nets.WideResNet(depth=7, width=1, groups=2),
    nets.LeNet((2, 3, 4)),
]


def inputs(trunk):
    """Images that a trunk takes."""
    return jnp.tile(X, (1, 3, 3, 1)) if isinstance(trunk, nets.LeNet) else X


@functools.cache
def shaken(module):
    """Variables of a module, drawn here: to compile its own draws would cost most of the time."""
    init = functools.partial(module.init, train=False)
    shapes = {"batch_stats": {}, **jax.eval_shape(init, jax.random.key(0), inputs(module))}
    draw = np.random.default_rng(0)

    def drawn(leaf):
        return (
            draw.normal(0.0, 0.4, leaf.shape) if leaf.ndim > 1 else draw.uniform(0.3, 1, leaf.shape)
        )

    return jax.tree.map(lambda leaf: jnp.float32(drawn(leaf)), shapes)


@functools.cache
def plain(module):
    """A compiled pass without training."""
    return jax.jit(functools.partial(module.apply, train=False), compiler_options=QUICK)


@functools.cache
def training(key):
    """A compiled pass in training, with or without draws."""
    run = functools.partial(SPOT.apply, train=True, mutable=["batch_stats"])
    if not key:
        return jax.jit(run, compiler_options=QUICK)
    return jax.jit(lambda v, x, key: run(v, x, rngs={"draw": key}), compiler_options=QUICK)


def chosen(variables, logits):
    """Variables whose policy says the same of all examples, logits of tuned over frozen `[L]`."""
    params = variables["params"]
    bias = jnp.stack([jnp.zeros(len(logits)), jnp.float32(logits)], -1).reshape(-1)
    layer = {"kernel": 0.0 * params["policy_logits"]["kernel"], "bias": bias}
    return {**variables, "params": {**params, "policy_logits": layer}}


def run_of(variables, names, x=X):
    """What the MLP's blocks of these names give, one after the other, on running statistics."""
    x = np.asarray(x).reshape(len(x), -1)
    for name in names:
        one = jax.device_get(variables["params"][name])
        stats = jax.device_get(variables["batch_stats"][name]["BatchNorm_0"])
        x = x @ one["Dense_0"]["kernel"] + one["Dense_0"]["bias"]
        x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
        x = np.maximum(x * one["BatchNorm_0"]["scale"] + one["BatchNorm_0"]["bias"], 0.0)
    return x


@pytest.mark.parametrize("first", ["frozen", "tuned"])
@pytest.mark.parametrize("second", ["frozen", "tuned"])
def test_the_policy_chooses_copies(first, second):
    variables = shaken(SPOT)
    signs = [1.0 if side == "tuned" else -1.0 for side in (first, second)]
    got = plain(SPOT)(chosen(variables, signs), X)
    wanted = run_of(variables, [f"{first}_block0", f"{second}_block1"])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_every_example_has_choices_of_its_own():
    variables = shaken(SPOT)
    params = variables["params"]
    seen = plain(nets.MLP((3,)))({"params": params["policy"]}, X)
    kernel = jnp.zeros((3, 4)).at[:, 1].set(jnp.array([1.0, -1.0, 1.0]))
    bias = jnp.array([0.0, -jnp.median(seen @ kernel[:, 1]), 0.0, -1.0])
    params = {**params, "policy_logits": {"kernel": kernel, "bias": bias}}
    got = plain(SPOT)({**variables, "params": params}, X)
    takes = np.asarray(seen @ kernel[:, 1] + bias[1] > 0)
    assert 0 < takes.sum() < 6
    sides = [run_of(variables, [f"{side}_block0", "frozen_block1"]) for side in ("frozen", "tuned")]
    wanted = np.where(takes[:, None], sides[1], sides[0])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def trained(variables, key):
    """Features and statistics of a pass in training."""
    return training(False)(variables, X) if key is None else training(True)(variables, X, key)


def test_training_draws_and_the_frozen_copy_keeps_its_statistics():
    variables = shaken(SPOT)
    one, moved = trained(variables, KEY)
    assert not np.allclose(one, trained(variables, jax.random.key(6))[0])
    for name, before in variables["batch_stats"].items():
        same = jax.tree.map(lambda a, b: bool((a == b).all()), moved["batch_stats"][name], before)
        assert set(jax.tree.leaves(same)) == {name.startswith("frozen")}
    # Without a key the larger logit is taken: in training too, the frozen copy is by running.
    got, _ = trained(chosen(variables, [-1.0, -1.0]), None)
    wanted = run_of(variables, ["frozen_block0", "frozen_block1"])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_policy_and_both_copies():
    variables = shaken(SPOT)

    @jax.jit
    @jax.grad
    def grads(params):
        given = {**variables, "params": params}
        y, _ = SPOT.apply(given, X, train=True, rngs={"draw": KEY}, mutable=["batch_stats"])
        return jnp.square(y).sum()

    found = grads(variables["params"])
    for name in ("policy_logits", "tuned_block0", "tuned_block1", "frozen_block0"):
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(found[name])), name
    # The policy's own trunk learns once its last layer, which starts at 0, has moved.
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(found["policy"]))
    start = grads(chosen(variables, [0.0, 0.0])["params"])
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(start["policy"]))
    assert (start["policy_logits"]["bias"] != 0).any()


def test_the_policy_starts_with_even_chances():
    init = functools.partial(SPOT.init, train=False)
    layer = jax.jit(init, compiler_options=QUICK)(jax.random.key(0), X)["params"]["policy_logits"]
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(layer))


def test_the_gradient_of_a_choice_by_hand():
    """Straight through: of `(tuned - frozen) s`, s the softmax at the temperature."""
    spot = nets.SpotTune(nets.MLP((1,)), policy=nets.MLP((3,)), temperature=2.0)
    given = chosen(shaken(spot), [0.6])
    for name, value in (("tuned_block0", 50.0), ("frozen_block0", 20.0)):
        layer = {"kernel": jnp.zeros((64, 1)), "bias": jnp.array([value])}
        given["params"][name] = {"Dense_0": layer}

    @jax.jit
    @jax.grad
    def slopes(bias):
        layer = {**given["params"]["policy_logits"], "bias": bias}
        params = {**given["params"], "policy_logits": layer}
        return spot.apply({"params": params}, X, train=True)[0, 0]

    soft = 1.0 / (1.0 + np.exp(-0.3))  # by hand: 0.6 / 2
    slope = 30.0 * soft * (1.0 - soft) / 2.0  # by hand
    found = slopes(given["params"]["policy_logits"]["bias"])
    np.testing.assert_allclose(found, [-slope, slope], rtol=1e-4)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_both_copies_of_a_source_give_what_it_gives(trunk):
    spot, x = nets.SpotTune(trunk, policy=nets.MLP((2,))), inputs(trunk)
    source, own = shaken(trunk), jax.eval_shape(
        lambda: spot.init(jax.random.key(0), x, train=False)
    )  # fmt: skip
    copies = {
        kind: spot.params_from_source(tree, jax.ShapeDtypeStruct(x.shape, x.dtype))
        for kind, tree in source.items()
    }
    count = len(trunk.blocks())
    policy = {"policy": {"Dense_0": {"kernel": jnp.ones((x[0].size, 2)), "bias": jnp.zeros(2)}}}
    policy["policy_logits"] = {"kernel": jnp.ones((2, 2 * count)), "bias": jnp.zeros(2 * count)}
    variables = {**copies, "params": {**copies["params"], **policy}}
    variables = {kind: tree for kind, tree in variables.items() if tree}
    assert jax.tree.structure(variables) == jax.tree.structure(own)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, own)
    wanted, got = plain(trunk)(source, x), plain(spot)(variables, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    assert wanted.std() > 0


def test_names_say_what_is_frozen():
    names = leaf_paths(shaken(SPOT)["params"])
    assert {name.partition("/")[0] for name in names} == {
        *(f"{copy}_block{at}" for copy in ("tuned", "frozen") for at in (0, 1)),
        "policy", "policy_logits",
    }  # fmt: skip


def test_seeds_side_by_side():
    variables, keys = shaken(SPOT), jax.random.split(KEY, 3)

    @jax.jit
    @jax.vmap
    def rows(key):
        rngs = {"draw": key}
        return SPOT.apply(variables, X, train=True, rngs=rngs, mutable=["batch_stats"])[0]

    for row, key in zip(rows(keys), keys, strict=True):
        np.testing.assert_allclose(row, trained(variables, key)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"trunk": nets.Adapters()}, r"SpotTune\.trunk must be a trunk that can be cut"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.SpotTune(**{"trunk": MLP, **settings})


def test_a_source_that_does_not_fit_is_refused():
    source = {**shaken(MLP)["params"], "Dense_2": {"bias": jnp.zeros(3)}}
    with pytest.raises(BadInput, match="blocks of the trunk have no Dense_2/bias"):
        SPOT.params_from_source(source, X)


def test_it_convolves_if_either_does():
    assert not SPOT.convolutional and nets.SpotTune(nets.CNN()).convolutional
    assert nets.SpotTune(MLP, policy=nets.CNN()).convolutional
