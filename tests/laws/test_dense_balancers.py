"""Every weighting and aggregator on dense tasks: rows are each task's gradient, by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, train, weighting
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.config.execution import Execution
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.model import features_by_task
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import gram
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.step_losses import Setup, objective_at
from mtl_jax.train.vjp import forward_vjp
from tests.dense import PYRAMID, RUN, TOKENS
from tests.laws.test_balancers import MADE
from tests.laws.test_bilevel import METHODS as BILEVEL
from tests.laws.test_combiners import METHODS as COMBINERS
from tests.laws.test_combiners import text
from tests.laws.test_cross import METHODS as CROSS

# All labelled examples are in the batch, so that its order does not matter.
RUNS = {run.name: run.replace(batch_size=12) for run in (RUN, PYRAMID, TOKENS)}
WEIGHERS = [method for method in MADE if method.access in ("gramian", "losses")]
METHODS = [*WEIGHERS, *COMBINERS, *CROSS, *BILEVEL]
# One of each kind.
QUICK = (
    weighting.Uncertainty(),
    aggregation.UPGrad(),
    aggregation.GradDrop(),
    aggregation.MoDo(),
    aggregation.AutoLambda(),
)
MODEL_KEY = jax.random.key(0)


@functools.cache
def begun(name):
    """The compiled run, its data, and the first state of its seed."""
    run = RUNS[name]
    prepared = load_run_data(run).train
    made = compile_run(run, prepared, jax.devices()[:1])
    return made, prepared, jax.tree.map(lambda leaf: leaf[0], made.init(None))


def labelled(name):
    """Inputs and labels of the labelled examples."""
    _, prepared, _ = begun(name)
    stream = prepared.streams[""]
    rows = stream.labelled.index[0]
    names = [task.name for task in RUNS[name].tasks]
    return stream.inputs[rows], {task: stream.labels[task][rows] for task in names}


def by_hand(task, outputs, labels):
    """The mean loss of what is known."""
    if labels.dtype.kind == "i":
        known, labels = labels >= 0, np.maximum(labels, 0)
        loss = -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[..., None], -1)[..., 0]
    elif task == "normals":
        known, labels = ~np.isnan(labels).any(-1), np.nan_to_num(labels)
        squares = jnp.square(outputs).sum(-1) * np.square(labels).sum(-1)
        norms = jnp.sqrt(jnp.where(squares > 0.0, squares, 1.0))
        loss = 1.0 - jnp.where(squares > 0.0, (outputs * labels).sum(-1), 0.0) / norms
    else:
        known, labels = ~np.isnan(labels)[..., 0], np.nan_to_num(labels)
        loss = jnp.abs(outputs - labels)[..., 0]
    return jnp.where(known, loss, 0.0).sum() / np.float32(known.sum())


@functools.cache
def wanted(name):
    """Losses, and Gram matrices of the gradients of parameters and of the representation."""
    made, _, state = begun(name)
    inputs, labels = labelled(name)

    def losses(heads, features):
        found = made.model.decode(
            heads, state.batch_stats, features_by_task(features, labels), train=True
        )[0]
        return jnp.stack([by_hand(task, found[task], labels[task]) for task in labels])

    def encode(shared):
        params = {**encoder_params(state.params), "shared": shared}
        return made.model.encode(params, state.batch_stats, inputs, train=True)[0]

    @jax.jit
    def every(params):
        heads, features = head_params(params), encode(params["shared"])
        rows = jax.jacrev(lambda shared: losses(heads, encode(shared)))(params["shared"])
        of_features = jax.jacrev(lambda features: losses(heads, features))(features)
        return losses(heads, features), rows, gram(rows), gram(of_features)

    return every(state.params)


@functools.cache
def found(name):
    """The same by the step's pullbacks."""
    made, prepared, state = begun(name)
    setup = Setup(made.run, made.model, Execution(), lambda batch: batch)
    names = tuple(task.name for task in made.run.tasks)
    stream = prepared.streams[""]
    one = stream._replace(labelled=jax.tree.map(lambda leaf: leaf[0], stream.labelled))
    data = train.TrainData({"": jax.tree.map(jnp.asarray, one)}, None)

    @jax.jit
    def every(state):
        objective = objective_at(setup, state, data, state.step)
        losses, pullback, *_ = forward_vjp(objective, state.params, names, Execution())
        rows = pullback.jacobian()["shared"]
        return losses, rows, gram(rows), gram(pullback.feature_jacobian()["shared"])

    return every(state)


@pytest.mark.parametrize("name", RUNS)
def test_rows_are_the_gradients_of_the_tasks_also_where_the_representation_is_a_map_or_a_tree(name):
    for one, other in zip(*map(jax.tree.leaves, (found(name), wanted(name))), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * np.abs(other).max())


def stepped(name, method, wrt="parameters"):
    made, prepared, _ = begun(name)
    run = made.run.replace(balance=method, balance_options=BalanceOptions(jacobian_wrt=wrt))
    if method.access == "heldout_losses":
        prepared = load_run_data(run).train
    step = compile_run(run, prepared, jax.devices()[:1])
    before = step.init(None)
    start = jax.device_get(before.params)
    state, metrics = step.train_steps(before, step.put_data(prepared), 1)
    return run, start, jax.device_get(state), jax.device_get(metrics)


def check(name, method, wrt="parameters"):
    """One step is finite and moves the parameters; weights are those of the Gram matrix by hand.

    A method that perturbs for another one has another Gram matrix.
    """
    run, start, state, metrics = stepped(name, method, wrt)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
    shared = (start["shared"], state.params["shared"])
    for before, after in zip(*map(jax.tree.leaves, shared), strict=True):
        assert (before != after).any()
    if isinstance(method, GramWeighting):
        losses, _, of_params, of_features = wanted(name)
        matrix = of_params if wrt == "parameters" else of_features
        key = fold_in_name(jax.random.fold_in(jax.random.key(0), 0), "balance")
        first = method.pre_step(losses, method.init(len(run.tasks)))
        weights, _ = jax.jit(method.weigh_gram)(matrix, first, key)
        told = np.concatenate([metrics[f"weight/{task.name}"] for task in run.tasks])
        np.testing.assert_allclose(told, weights, rtol=1e-2, atol=1e-3 * np.abs(weights).max())


@pytest.mark.parametrize("method", QUICK, ids=str)
def test_a_step_of_each_kind(method):
    check("dense", method)


@pytest.mark.parametrize("name", RUNS)
def test_a_step_with_rows_of_the_representation(name):
    check(name, aggregation.UPGrad(), "representation")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=text)
def test_every_method_makes_a_step(method):
    check("dense", method)


def test_no_method_is_left_out():
    exported = {**vars(weighting), **vars(aggregation)}
    names = {name for name, make in exported.items() if isinstance(make, type)}
    assert {type(method).__name__ for method in METHODS} >= names - {"Constant", "TaskSampling"}
