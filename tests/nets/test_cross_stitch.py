"""Cross-stitch: copies on their own, mixes by hand, matrices a channel."""

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.through import X, changed, features, through

MLP = nets.MLP((8, 4))
STITCHED = nets.CrossStitch(MLP)
TASKS = ((0, "row"), (1, "task"))


def layer(x, params):
    """One layer of the MLP in numpy."""
    return np.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0.0)


def test_alone_each_task_has_a_trunk_of_its_own():
    seen = through(nets.CrossStitch(MLP, same=1.0))
    for task in ("row", "task"):
        own = {f"Dense_{i}": seen.params["shared"][f"stage{i}_{task}"]["Dense_0"] for i in (0, 1)}
        wanted = MLP.apply({"params": own}, X, train=False)
        np.testing.assert_allclose(seen.plain.features[task], wanted, atol=1e-5)
    assert not np.allclose(seen.plain.features["row"], seen.plain.features["task"])


def test_stages_are_mixed_by_hand():
    seen = through(STITCHED)
    shared = seen.params["shared"]
    each = [np.asarray(X).reshape(5, -1)] * 2
    for depth in (0, 1):
        one, two = (layer(each[at], shared[f"stage{depth}_{task}"]) for at, task in TASKS)
        each = [0.9 * one + 0.1 * two, 0.1 * one + 0.9 * two]
    np.testing.assert_allclose(seen.plain.features["row"], each[0], atol=1e-5)
    np.testing.assert_allclose(seen.plain.features["task"], each[1], atol=1e-5)


def test_everything_but_the_heads_is_shared():
    seen = through(STITCHED)
    assert seen.params["tasks"].keys() == {"heads"}
    other = seen.grads["row"]["shared"]["stage0_task"]["Dense_0"]["kernel"]
    assert (other != 0).any()


def test_matrices_a_channel():
    channels = nets.CrossStitch(MLP, per_channel=True)
    seen = through(channels)
    assert [seen.params["shared"][f"stitch{i}"].shape for i in (0, 1)] == [(2, 2, 8), (2, 2, 4)]
    # As long as all channels agree, it is the plain one, which draws the same copies.
    np.testing.assert_allclose(
        seen.plain.features["row"], through(STITCHED).plain.features["row"], atol=1e-5
    )
    units = seen.params["shared"]["stitch1"].copy()
    units[0, :, 2] = 0.0
    cut = features(channels, changed(seen.params, stitch1=units), seen.stats)
    wanted = seen.plain.features["row"].copy()
    wanted[:, 2] = 0.0
    np.testing.assert_allclose(cut["row"], wanted, atol=1e-5)
    np.testing.assert_allclose(cut["task"], seen.plain.features["task"], atol=1e-5)


@pytest.mark.parametrize(("tasks", "off"), [(1, None), (3, 0.05)])
def test_rows_sum_to_one_for_any_number_of_tasks(tasks, off):
    net = nets.make_model(nets.CrossStitch(nets.MLP((2,))), {f"t{i}": 1 for i in range(tasks)})
    units = net.init(jax.random.key(0), X)[0]["shared"]["stitch0"][..., 0]
    np.testing.assert_allclose(units.sum(1), 1.0, rtol=1e-6)
    if off is not None:
        np.testing.assert_allclose(units[0], [0.9, off, off], rtol=1e-6)


@pytest.mark.parametrize(
    "trunk",
    [
        nets.PerTaskTrunk(MLP),
        STITCHED,
    ],
    ids=[
        "soft",
        "nested",
    ],
)
def test_what_has_no_stages_is_refused(trunk):
    with pytest.raises(BadInput, match=r"CrossStitch.trunk must be a trunk that can be cut"):
        nets.CrossStitch(trunk)
