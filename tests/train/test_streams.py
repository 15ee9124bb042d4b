"""Tasks with images of their own: the same step as with shared ones where the images agree."""

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, data, nets, optimizers
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.config.execution import Execution
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Input, MultiInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.evaluated_models import models_of
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from tests.small import COLUMN, DATA, ROW, RUN, UNLABELLED, part

ONE = jax.devices()[:1]
# Full batches, so that both ways see the same examples, in whatever order.
WHOLE = RUN.replace(
    labels={"num_labelled": None},
    batch_size=96,
    optimizer=optimizers.SGD(0.5),
    augmentation={"weak": None},
)
APART = WHOLE.replace(data=MultiInput((Input("row", DATA, "row"), Input("column", DATA, "column"))))


def trained(run, steps=2, devices=ONE):
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, devices)
    state, metrics = made.train_steps(made.init(None), made.put_data(prepared.train), steps)
    return state, metrics, made.evaluate(models_of(run, state), prepared.splits)[0]


def close(one, other, atol=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


@pytest.mark.parametrize(
    "balance", [RUN.balance, aggregation.MGDA(), aggregation.GradDrop()], ids=str
)
def test_the_same_images_in_two_streams_are_one_input(balance):
    one, seen, judged = trained(WHOLE.replace(balance=balance))
    other, metrics, again = trained(APART.replace(balance=balance))
    close((one.params, seen, judged), (other.params, metrics, again))


@pytest.mark.slow
@pytest.mark.parametrize(
    "trunk",
    [nets.MMoE(nets.MLP((12,))), nets.PerTaskTrunk(nets.MLP((12,)))],
    ids=["mmoe", "per task"],
)
def test_features_of_each_task_are_one_input_too(trunk):
    close(
        trained(WHOLE.replace(trunk=trunk))[0].params, trained(APART.replace(trunk=trunk))[0].params
    )


@pytest.mark.slow
def test_rows_of_streams_need_not_be_kept():
    run = APART.replace(balance=aggregation.UPGrad())
    unstored = run.replace(execution=Execution(jacobian_chunk_size=1))
    close(trained(run)[0].params, trained(unstored)[0].params)


def test_each_task_learns_from_its_own_images():
    blank = data.Arrays(*({**part(n, s), "inputs": np.zeros((n, 6, 6, 1), np.float32)}
                          for n, s in ((96, 0), (40, 1), (40, 2))))  # fmt: skip
    run = APART.replace(
        data=MultiInput((Input("row", DATA, "row"), Input("column", blank, "column")))
    )
    _, _, judged = trained(run, 60)
    found = {name: judged["test"]["raw"][name]["accuracy"] for name in ("row", "column")}
    assert (np.asarray(found["row"]) > 0.9).all() and (np.asarray(found["column"]) < 0.6).all()


@pytest.mark.slow
def test_streams_move_statistics_one_after_the_other():
    norm = nets.MLP((12,), batch_norm=True)
    one, _, _ = trained(WHOLE.replace(trunk=norm), 2)
    two, _, _ = trained(APART.replace(trunk=norm, optimizer=optimizers.SGD(0.0)), 1)
    still, _, _ = trained(WHOLE.replace(trunk=norm, optimizer=optimizers.SGD(0.0)), 2)
    close(two.batch_stats, still.batch_stats)
    assert not np.allclose(jax.tree.leaves(one.batch_stats)[0], jax.tree.leaves(two.batch_stats)[0])


@pytest.mark.slow
def test_a_trunk_of_its_own_sees_its_own_images_only():
    norm = nets.PerTaskTrunk(nets.MLP((12,), batch_norm=True))
    dark = data.Arrays(*({**part(n, s), "inputs": np.zeros((n, 6, 6, 1), np.float32)}
                         for n, s in ((96, 0), (40, 1), (40, 2))))  # fmt: skip
    inputs = (Input("row", DATA, "row"), Input("column", dark, "column"))
    state, _, _ = trained(APART.replace(trunk=norm, data=MultiInput(inputs)), 2)
    alike, _, _ = trained(APART.replace(trunk=norm), 2)
    mean, same = (np.asarray(s.batch_stats["BatchNorm_0"]["mean"]) for s in (state, alike))
    np.testing.assert_allclose(mean[:, 0], same[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(mean[:, 1], 0.0)  # A dense layer without bias of black images.


@pytest.mark.slow
def test_a_step_is_counted_once_for_all_streams():
    run = APART.replace(trunk=nets.LTB(nets.MLP((8, 8))))
    counts = [
        leaf for leaf in jax.tree.leaves(trained(run, 2)[0].batch_stats) if leaf.dtype == np.int32
    ]
    assert len(counts) > 0
    for count in counts:
        np.testing.assert_array_equal(count, 2)


@pytest.mark.slow
def test_unlabelled_images_are_those_of_the_task():
    few = UNLABELLED.replace(
        data=MultiInput((Input("row", DATA, "row"), Input("column", small(), "column"))),
        labels={"num_labelled": 12},
    )
    given = abstract_data(few)
    assert {n: stream.inputs.shape[0] for n, stream in given.streams.items()} == {
        "row": 96,
        "column": 60,
    }
    state, metrics, _ = trained(few)
    assert np.isfinite(metrics["unlabelled_loss/row"]).all()
    close(state.params, trained(few, devices=jax.devices()[:4])[0].params, 2e-5)


def small():
    """The same data with fewer training examples."""
    return data.Arrays(part(60, 3), part(40, 1), part(40, 2))


def test_a_shared_representation_needs_shared_images():
    run = APART.replace(
        balance=aggregation.MGDA(), balance_options=BalanceOptions(jacobian_wrt="representation")
    )
    with pytest.raises(ValueError, match="needs heads that all read one representation"):
        trained(run)


class Twice(MultiInput):
    """A source whose streams all have every label."""

    def shapes(self):
        return {"one": DATA.shapes(), "two": DATA.shapes()}


class Sizes(MultiInput):
    """A source whose streams have images of two sizes."""

    def shapes(self):
        sizes = {"row": (96, 6, 6, 1), "column": (96, 8, 8, 1)}
        return {
            name: {"inputs": jax.ShapeDtypeStruct(size, np.float32), name: DATA.shapes()[name]}
            for name, size in sizes.items()
        }


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            APART.replace(tasks=(ROW, COLUMN.replace(name="depth"))),
            r"no label in .* there: column, row\)",
        ),
        (
            APART.replace(data=Twice(APART.data.inputs)),
            r"must have 'row' in one stream, not \['one'",
        ),
        (
            APART.replace(data=Sizes(APART.data.inputs)),
            "must have inputs of one shape in all streams",
        ),
        (APART.replace(labels={"num_labelled": 97}), "must be at most 96"),
    ],
)
def test_what_does_not_fit_is_named(run, said):
    with pytest.raises(BadInput, match=said):
        abstract_data(run)
