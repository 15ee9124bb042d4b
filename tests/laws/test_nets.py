"""What every architecture keeps; a new one is tested by being exported."""

import jax
import numpy as np
import pytest

from mtl_jax import nets, optimizers
from mtl_jax.aggregation import MGDA
from mtl_jax.config.execution import Execution
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.tree import leaf_paths
from mtl_jax.data import Input, MultiInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from tests.nets.through import HEADS, through
from tests.small import RUN

TRUNKS = {
    "mlp": nets.MLP((8, 8)),
    "cnn": nets.CNN((4, 4)),
    "wide": nets.WideResNet(depth=6, width=1, groups=1),
}


def fields_of(make):
    """Names of the fields of a class."""
    return {*getattr(make, "__dataclass_fields__", {})}


# `SegNetMTAN` has a trunk of its own and is tested by itself.
MAKERS = {
    name: make
    for name, make in vars(nets).items()
    if isinstance(make, type)
    and {"trunk", "expert"} & fields_of(make)
    and "tasks" in fields_of(make)
}


def made(name, trunk):
    """The architecture over a trunk, with its other settings as they come."""
    return MAKERS[name](**dict.fromkeys(fields_of(MAKERS[name]) & {"trunk", "expert"}, trunk))


# No stage of a CNN keeps its shape, so there is none that tasks could skip.
IMPOSSIBLE = {("AdaShare", "cnn")}
# Convolutions take longest to compile.
SLOW = {"mlp": (), "cnn": (pytest.mark.slow,), "wide": (pytest.mark.slow,)}
CASES = [
    pytest.param(name, trunk, marks=SLOW[trunk])
    for name in MAKERS
    for trunk in TRUNKS
    if (name, trunk) not in IMPOSSIBLE
]
every = pytest.mark.parametrize(("name", "trunk"), CASES)
each = pytest.mark.parametrize("name", MAKERS)


def seen(name, trunk):
    return through(made(name, TRUNKS[trunk]))


def test_there_are_architectures():
    assert len(MAKERS) >= 5 and "PerTask" not in MAKERS


@every
def test_shapes_and_numbers(name, trunk):
    for outputs in (seen(name, trunk).plain, seen(name, trunk).trained):
        assert {t: o.shape for t, o in outputs.logits.items()} == {
            t: (5, size) for t, size in HEADS.items()
        }
        for leaf in jax.tree.leaves(outputs):
            assert leaf.dtype == np.float32 and np.isfinite(leaf).all()
        assert all(each.ndim == 2 and each.std() > 0 for each in outputs.features.values())


@every
def test_parameters_are_parted_by_their_names(name, trunk):
    params = seen(name, trunk).params
    assert params.keys() == {"shared", "tasks"}
    assert params["tasks"].keys() <= {"heads", "own"}
    assert not any(part.startswith("task") for part in params["shared"])
    assert all(part.startswith("task") for part in params["tasks"].get("own", {}))
    assert jax.tree.leaves(params["shared"]) and params["tasks"]["heads"].keys() == HEADS.keys()


@every
def test_what_belongs_to_a_task_is_reached_by_no_other(name, trunk):
    grads = seen(name, trunk).grads
    tasks = [grads[task]["tasks"] for task in HEADS]
    for one, other in zip(*map(jax.tree.leaves, tasks), strict=True):
        assert not ((one != 0) & (other != 0)).any()
    for task in HEADS:
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(grads[task]["shared"]))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads[task]))


@every
def test_only_training_draws_and_moves_statistics(name, trunk):
    it = seen(name, trunk)
    jax.tree.map(np.testing.assert_array_equal, it.after, it.stats)
    jax.tree.map(np.testing.assert_array_equal, it.keyed, it.plain)
    pairs = zip(*map(jax.tree.leaves, (it.moved, it.stats)), strict=True)
    for path, (after, before) in zip(leaf_paths(it.stats), pairs, strict=True):
        # The variance of what is normed already is 1 as it was, to the last bit.
        assert (after != before).any() or (path.endswith("/var") and (after == 1).all()), path


@every
def test_text_makes_it_again(name, trunk):
    module = made(name, TRUNKS[trunk])
    again = eval(to_source(module), dict(vars(nets)))
    assert again == module and hash(again) == hash(module)
    assert fingerprint(again) == fingerprint(module)
    assert module.convolutional is (trunk != "mlp")


@pytest.mark.slow
@each
def test_a_run_on_it_learns(name):
    """Seeds are vmapped, steps scanned."""
    run = RUN.replace(
        trunk=made(name, TRUNKS["mlp"]),
        labels={"num_labelled": None},
        optimizer=optimizers.Adam(0.01),
        execution=Execution(steps_per_call=20),
    )
    prepared = load_run_data(run)
    going = compile_run(run, jax.eval_shape(lambda: prepared.train), jax.devices()[:1])
    state, given = going.init(None), going.put_data(prepared.train)
    losses = []
    for _ in range(3):
        state, metrics = going.train_steps(state, given, 20)
        losses.append((metrics["loss/row"] + metrics["loss/column"]).mean())
    assert losses[-1] < 0.9 * losses[0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.slow
@each
def test_the_same_images_in_two_streams_are_one_input(name):
    """Full batches, so that both ways see the same examples."""
    one = RUN.replace(
        trunk=made(name, TRUNKS["mlp"]),
        labels={"num_labelled": None},
        batch_size=96,
        balance=MGDA(),
    )
    inputs = tuple(Input(task.name, RUN.data, task.name) for task in RUN.tasks)
    found = []
    for run in (one, one.replace(data=MultiInput(inputs))):
        prepared = load_run_data(run)
        going = compile_run(run, prepared.train, jax.devices()[:1])
        state, _ = going.train_steps(going.init(None), going.put_data(prepared.train), 1)
        found.append(state.params)
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
