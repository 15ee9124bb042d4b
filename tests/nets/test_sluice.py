"""Sluice: subspaces and layers by hand, and the penalty that keeps subspaces apart."""

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.through import changed, features, through

SLUICE = nets.Sluice(nets.MLP((8, 4)))
EVEN = nets.Sluice(nets.MLP((4, 4)), last=0.75)


def identities(params, count=4):
    """The parameters with nothing mixed."""
    alone = {f"sluice{depth}": np.eye(count, dtype=np.float32) for depth in (0, 1)}
    return changed(params, **alone)


def test_alone_and_last_layer_only_it_is_separate_trunks():
    seen = through(nets.Sluice(nets.MLP((8, 4)), last=1.0, same=1.0))
    other = through(nets.CrossStitch(nets.MLP((8, 4)), same=1.0))
    for task in ("row", "task"):
        np.testing.assert_allclose(seen.plain.features[task], other.plain.features[task], atol=1e-5)


def test_one_subspace_reads_another():
    """The first half of task 0 is replaced by the second half of task 1."""
    seen = through(EVEN)
    params = identities(seen.params)
    last = np.zeros((2, 2), np.float32)
    last[:, 1] = 1.0
    params["tasks"] = {**params["tasks"], "own": {"task_layers": last}}
    before = features(EVEN, params, seen.stats)
    units = np.eye(4, dtype=np.float32)
    units[0] = units[3]  # rows are (task, subspace): 00 01 10 11
    after = features(EVEN, changed(params, sluice1=units), seen.stats)
    np.testing.assert_allclose(after["row"][:, :2], before["task"][:, 2:], atol=1e-6)
    np.testing.assert_allclose(after["row"][:, 2:], before["row"][:, 2:], atol=1e-6)
    np.testing.assert_allclose(after["task"], before["task"], atol=1e-6)


def test_layers_are_mixed():
    seen = through(EVEN)
    share = seen.params["tasks"]["own"]["task_layers"]
    np.testing.assert_allclose(share, [[0.25, 0.75]] * 2)

    def of(layers):
        tasks = {**seen.params["tasks"], "own": {"task_layers": np.float32(layers)}}
        return features(EVEN, {**seen.params, "tasks": tasks}, seen.stats)

    first, second = of([[1, 0], [0, 1]]), of([[0, 1], [1, 0]])
    wanted = 0.25 * first["row"] + 0.75 * second["row"]
    np.testing.assert_allclose(seen.plain.features["row"], wanted, atol=1e-5)
    wanted = 0.25 * second["task"] + 0.75 * first["task"]
    np.testing.assert_allclose(seen.plain.features["task"], wanted, atol=1e-5)


def test_layers_of_another_width_reach_by_a_map_of_the_task():
    seen = through(SLUICE)
    own = seen.params["tasks"]["own"]
    assert own.keys() == {"task_layers", "task_reach0_row", "task_reach0_task"}
    assert own["task_reach0_row"]["kernel"].shape == (8, 4)
    assert seen.params["shared"]["sluice0"].shape == (4, 4)
    of_row = seen.grads["row"]["tasks"]["own"]
    assert (of_row["task_layers"][0] != 0).any() and (of_row["task_layers"][1] == 0).all()
    assert (of_row["task_reach0_task"]["kernel"] == 0).all()


def test_orthogonality_by_hand():
    kernel = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)  # 1 * 2 + 3 * 1 = 5.
    params = {"shared": {"stage0_row": {"Dense_0": {"kernel": kernel, "bias": np.ones(2)}}}}
    penalty = nets.SubspaceOrthogonality(weight=0.5)
    value, grad = jax.value_and_grad(lambda p: penalty(p, None))(params)
    np.testing.assert_allclose(value, 0.5 * 25.0)
    # 2 * 5 * the other column, halved.
    leaf = grad["shared"]["stage0_row"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(leaf, 5.0 * kernel[:, ::-1])


def test_orthogonality_counts_every_copy_and_no_mixture():
    shared = {
        f"stage{depth}_{task}": {"Conv_0": {"kernel": np.ones((3, 3, 1, 4), np.float32)}}
        for depth in (0, 1)
        for task in ("a", "b")
    }
    params = {"shared": {**shared, "sluice0": np.ones((4, 4), np.float32)}}
    value = nets.SubspaceOrthogonality(weight=1.0)(params, None)
    np.testing.assert_allclose(value, 4 * 4 * 81.0)  # four kernels of 2 x 2 products of 9.
    three = {"stage0_a": {"Dense_0": {"kernel": np.ones((2, 3), np.float32)}}}
    value = nets.SubspaceOrthogonality(weight=1.0, subspaces=3)({"shared": three}, None)
    np.testing.assert_allclose(value, 3 * 4.0)


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"Sluice.last must lie between"):
        nets.Sluice(last=1.5)
    with pytest.raises(BadInput, match=r"Sluice.subspaces must divide the channels"):
        through(nets.Sluice(nets.MLP((3, 4))))
    with pytest.raises(BadInput, match=r"SubspaceOrthogonality.subspaces must be at least 2"):
        nets.SubspaceOrthogonality(weight=1.0, subspaces=1)
    with pytest.raises(BadInput, match=r"needs subspaces: trunk=nets.Sluice"):
        nets.SubspaceOrthogonality(weight=1.0)(
            {"shared": {"Dense_0": {"kernel": np.ones((2, 2))}}}, None
        )
