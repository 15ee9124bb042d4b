"""Rematerialization: the same step with less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, nets
from mtl_jax.config.execution import Execution
from mtl_jax.core.head_key import encoder_params
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.memory import bytes_of
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.rematerialization import block_paths, with_remat
from tests import dense
from tests.small import RUN, UNLABELLED

RESNET = RUN.replace(trunk=nets.ResNet(18, width=4), num_seeds=1, batch_size=16)
RUNS = {
    "resnet": RESNET,
    "fixmatch": UNLABELLED.replace(trunk=nets.CNN((4,)), num_seeds=1),
    "gram": RUN.replace(balance=aggregation.UPGrad()),
    "dense": dense.RUN.replace(num_seeds=1),
}


def lowered(run, **execution):
    """The compiled run, its state and data, and one lowered step."""
    run = run.replace(execution=Execution(steps_per_call=1, seed_loop="unroll", **execution))
    data = load_run_data(run).train
    compiled = compile_run(run, data, jax.devices()[:1])
    state, data = compiled.init(None), compiled.put_data(data)
    return compiled.train_steps.lower(state, data, 1), state, data


@pytest.mark.parametrize("kind", RUNS)
def test_a_step_is_the_same(kind):
    step, state, data = lowered(RUNS[kind])
    expected, metrics = step.compile()(state, data)
    step, state, data = lowered(RUNS[kind], remat=True)
    found, metrics_found = step.compile()(state, data)
    for one, other in zip(
        *map(
            jax.tree.leaves,
            (
                (found.params, found.batch_stats, metrics_found),
                (expected.params, expected.batch_stats, metrics),
            ),
        ),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_inside_of_blocks_is_computed_again():
    """Counted in convolutions: a step has one forward pass more of all that is in a block."""
    counts = {}
    for remat in (None, True):
        text = lowered(RESNET, remat=remat)[0].as_text()
        counts[remat] = text.count("stablehlo.convolution") + text.count("stablehlo.dot_general")
    assert counts[True] > 1.2 * counts[None]


def residual_bytes(model, params, stats, inputs):
    """Bytes of what a forward pass of the encoder keeps for the backward pass."""

    def kept(params, stats, inputs):
        def encode(params):
            return model.encode(params, stats, inputs, train=True, key=jax.random.key(0))[0]

        return jax.vjp(encode, params)[1]

    return bytes_of(jax.eval_shape(kept, encoder_params(params), stats, inputs))


@pytest.mark.parametrize("trunk", [nets.ResNet(18), nets.WideResNet(16, 2)], ids=["18", "16"])
def test_the_inside_of_blocks_is_not_kept(trunk):
    model, inputs = nets.make_model(trunk, {"row": 3}), jnp.zeros((8, 32, 32, 3))
    params, stats = jax.eval_shape(model.init, jax.random.key(0), inputs)
    own = bytes_of(encoder_params(params))
    kept, less = (
        residual_bytes(m, params, stats, inputs) - own for m in (model, with_remat(model))
    )
    assert less < 0.25 * kept


def test_blocks_are_the_outermost_modules_with_layers():
    layer = {"kernel": 0, "bias": 0}
    block = {"Conv_0": layer, "Norm_0": layer, "inner": {"Dense_0": layer, "Dense_1": layer}}
    trunk = {"stem": layer, "stage": {"block0": block, "block1": block}, "layer": block}
    found = set(block_paths({"shared": trunk}))
    assert {("stage", "block0"), ("stage", "block1"), ("layer",)} < found
    assert not found & {("stem",), ("stage",), ()}
