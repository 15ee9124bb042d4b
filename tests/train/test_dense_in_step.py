"""Semi-supervised methods on pixels: a step trains by them."""

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, consistency
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from tests.pixels import DEPTH, RUN, SIDE
from tests.small import COLUMN, ROW
from tests.small import RUN as SMALL

ONE = jax.devices()[:1]
METHODS = {
    "CutMixConsistency": consistency.CutMixConsistency(threshold=0.5, student_view="strong"),
    "UniMatch": consistency.UniMatch(threshold=0.5),
}


def trained(run, steps=2):
    """A state after some steps, and their metrics."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    return made.train_steps(made.init(None), made.put_data(prepared.train), steps)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_step_learns_from_unlabelled_pixels(method):
    state, metrics = trained(RUN.replace(tasks=(SIDE.replace(auxiliary=method), DEPTH)))
    plain, _ = trained(RUN)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
    assert metrics["unlabelled_loss/side"].min() > 0.0
    assert 0.0 < metrics["mask_rate/side"].mean() <= 1.0
    moved = [
        np.abs(a - b).max()
        for a, b in zip(*map(jax.tree.leaves, (state.params, plain.params)), strict=True)
    ]
    assert max(moved) > 1e-4


@pytest.mark.parametrize("space", ["parameters", "representation"])
def test_images_of_one_class_and_gradients_of_tasks(space):
    run = SMALL.replace(
        tasks=(ROW.replace(auxiliary=consistency.UniMatch(threshold=0.3)), COLUMN),
        balance=aggregation.MGDA(),
        balance_options=BalanceOptions(jacobian_wrt=space),
    )
    state, metrics = trained(run)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
    assert metrics["unlabelled_loss/row"].min() > 0.0


MIXES = {
    "mixup": consistency.SupervisedMix("mixup"),
    "cutmix": consistency.SupervisedMix("cutmix"),
    "with another": consistency.SumOfLosses(
        (consistency.SupervisedMix("cutmix"), consistency.FixMatch(threshold=0.5))
    ),
}


@pytest.mark.parametrize("method", MIXES.values(), ids=MIXES)
def test_labelled_pixels_and_numbers_are_mixed(method):
    depth = DEPTH.replace(auxiliary=consistency.SupervisedMix(method.views[0].kind))
    run = RUN.replace(tasks=(SIDE.replace(auxiliary=method), depth))
    state, metrics = trained(run)
    plain, _ = trained(RUN)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, metrics)))
    assert metrics["loss/side"].min() > 0.0 < metrics["loss/depth"].min()
    first, second = (jax.tree.leaves(each.params)[0] for each in (state, plain))
    assert np.abs(first - second).max() > 1e-4
