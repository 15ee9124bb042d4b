"""Microbatches and bfloat16: the training of one batch in float32, up to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from mtl_jax import aggregation, consistency, nets, train
from mtl_jax.config.execution import Execution
from mtl_jax.core.tree import gram
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.execution import default_execution
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.microbatches import in_microbatches
from mtl_jax.train.step_losses import Setup, objective_at
from mtl_jax.train.vjp import forward_vjp
from tests.small import COLUMN, ROW, RUN, UNLABELLED

STEPS = 3


def trained(run):
    """The state after some steps."""
    prepared = load_run_data(run)
    made = compile_run(run, abstract_data(run), jax.devices()[:1])
    return made.train_steps(made.init(None), made.put_data(prepared.train), STEPS)[0]


def assert_close(one, other, rtol, atol):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


RUNS = {
    "weighting": RUN,
    "Gram matrix": RUN.replace(balance=aggregation.UPGrad()),
    "Jacobian": RUN.replace(balance=aggregation.AlignedMTL()),
    "thresholds over the batch": UNLABELLED,
    "pairs of examples": UNLABELLED.replace(
        tasks=(ROW.replace(auxiliary=consistency.CoMatch()), COLUMN)
    ),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_microbatches_are_one_batch(run):
    whole = trained(run)
    for loop in ("scan", "unroll"):
        parts = Execution(microbatches=4, step_loop=loop, steps_per_call=STEPS)
        found = trained(run.replace(execution=parts))
        assert_close(found.params, whole.params, 1e-5, 1e-6)
        assert_close(found.aux_state, whole.aux_state, 1e-5, 1e-6)


def test_batch_norm_has_the_statistics_of_each_microbatch():
    model = train.build_model(RUN.replace(trunk=nets.MLP((5,), batch_norm=True)))
    x = jax.random.normal(jax.random.key(0), (12, 6, 6, 1))
    params, stats = model.init(jax.random.key(1), x)
    apply = in_microbatches(model, 3, "scan").apply
    output, after = apply(params, stats, x, train=True)
    alone = [model.apply(params, stats, x[place::3], train=True) for place in range(3)]
    for place, (own, _) in enumerate(alone):
        np.testing.assert_allclose(output.logits["row"][place::3], own.logits["row"], rtol=1e-5)
    mean = jax.tree.map(lambda *leaves: jnp.stack(leaves).mean(0), *[new for _, new in alone])
    assert_close(after, mean, 1e-6, 1e-7)
    assert apply(params, stats, x[:5], train=False)[0].logits["row"].shape == (5, 3)


def dots(jaxpr):
    """The dtypes of all matrix products, in inner programs too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation.invars[0].aval.dtype
        for inner in jaxprs_in_params(equation.params):
            yield from dots(inner)


@pytest.mark.parametrize("trunk", [nets.MLP((12,), batch_norm=True), nets.CNN((4, 8))], ids=str)
def test_bfloat16_is_in_the_model_alone(trunk):
    run = UNLABELLED.replace(trunk=trunk, balance=aggregation.MGDA())
    low = run.replace(execution=Execution(precision="bfloat16"))
    state, other = trained(low), trained(run)
    floats = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    assert_close(state.params, other.params, 0.05, 0.02)
    model = train.training_model(train.build_model(low), low.execution)
    x = jnp.zeros((2, 6, 6, 1))
    params, stats = model.init(jax.random.key(0), x)
    program = jax.make_jaxpr(lambda: model.apply(params, stats, x, train=True)[0].logits)()
    assert set(dots(program.jaxpr)) == {jnp.dtype("bfloat16")}


def gramians(precision):
    """The Gram matrix of the first step by the Jacobian, and without it."""
    execution = Execution(precision=precision, jacobian_chunk_size=1)
    run = RUN.replace(balance=aggregation.UPGrad(), num_seeds=1, execution=execution)
    prepared = load_run_data(run)
    made = compile_run(run, abstract_data(run), jax.devices()[:1])
    setup = Setup(run, made.train_model, made.execution, made.shard_batch)

    def one_seed(state, data):
        objective = objective_at(setup, state, data, state.step)
        pullback = forward_vjp(objective, state.params, ("row", "column"), execution).pullback
        return gram(pullback.jacobian()["shared"]), pullback.gramian_fn()

    return jax.jit(lambda *args: made.over_seeds(one_seed, *args))(
        made.init(None), made.put_data(prepared.train)
    )


def test_the_gram_matrix_of_bfloat16_gradients_is_within_two_percent():
    whole, _ = gramians(None)
    by_rows, without_rows = gramians("bfloat16")
    assert by_rows.dtype == without_rows.dtype == jnp.float32
    scale = np.abs(whole).max()
    np.testing.assert_allclose(by_rows, whole, rtol=0.0, atol=0.02 * scale)
    np.testing.assert_allclose(without_rows, whole, rtol=0.0, atol=0.02 * scale)
    assert np.linalg.eigvalsh(by_rows[0]).min() > 0


def test_precision_leaves_the_loops_to_the_trunk():
    cnn = RUN.replace(trunk=nets.CNN((4,)))
    fastest = default_execution(cnn, "cpu")
    low = default_execution(cnn.replace(execution=Execution(precision="bfloat16")), "cpu")
    assert (low.seed_loop, low.precision) == (fastest.seed_loop, "bfloat16")
    own = Execution(precision="bfloat16", seed_loop="map")
    assert default_execution(cnn.replace(execution=own), "cpu") == own


def test_wrong_settings_are_refused():
    with pytest.raises(BadInput, match=r"precision overflows .* use bfloat16, not 'float16'"):
        Execution(precision="float16")
    with pytest.raises(BadInput, match=r"multiple of execution\.microbatches, 3"):
        RUN.replace(execution=Execution(microbatches=3))
    with pytest.raises(BadInput, match="microbatches must be at least 1"):
        Execution(microbatches=0)
