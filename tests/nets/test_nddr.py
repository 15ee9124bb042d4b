"""NDDR: what it starts as, what belongs to a task, and what it refuses."""

import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.multitask.nddr import resize_to
from tests.nets.through import X, through

NDDR = nets.NDDR(nets.CNN((3, 4), batch_norm=False), same=0.75)
# A fresh norm divides by sqrt(1 + 1e-5).
STITCHED = nets.CrossStitch(nets.CNN((3, 4), batch_norm=False), same=0.75)


@pytest.mark.slow
def test_it_starts_as_a_cross_stitch():
    one, other = through(NDDR), through(STITCHED)
    kernel = one.params["shared"]["nddr0_task"]["kernel"]
    np.testing.assert_allclose(kernel, np.vstack([0.25 * np.eye(3), 0.75 * np.eye(3)]))
    for task in ("row", "task"):
        np.testing.assert_allclose(
            one.plain.features[task], other.plain.features[task], rtol=1e-4, atol=1e-5
        )


def test_training_normalizes_over_the_batch():
    seen = through(nets.NDDR(nets.MLP((8, 4))))
    alive = seen.trained.features["row"].std(0) > 0.1
    assert alive.sum() >= 2
    np.testing.assert_allclose(seen.trained.features["row"].mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(seen.trained.features["row"].std(0)[alive], 1.0, atol=1e-2)
    assert (seen.moved["nddr0_row_norm"]["mean"] != 0).any()


def test_only_the_last_reduction_belongs_to_a_task():
    seen = through(NDDR)
    own = {"task_nddr1_row", "task_nddr1_row_norm", "task_nddr1_task", "task_nddr1_task_norm"}
    assert seen.params["tasks"]["own"].keys() == own
    assert {"nddr0_row", "nddr0_row_norm", "stage1_task"} <= seen.params["shared"].keys()
    of_row = seen.grads["row"]["tasks"]["own"]
    assert (of_row["task_nddr1_row"]["kernel"] != 0).any()
    assert (of_row["task_nddr1_task"]["kernel"] == 0).all()


def test_shortcuts_by_hand():
    """Two outputs of 6x6 and 3x3 pixels: a bilinear half is the mean of two by two pixels."""
    net = nets.NDDR(NDDR.trunk, same=0.75, shortcut=True)
    seen, plain = through(net), through(NDDR)
    weights = seen.params["tasks"]["own"]["task_shortcut_row"]
    assert weights["kernel"].shape == (3 + 4, 4)
    shared, own = seen.params["shared"], seen.params["tasks"]["own"]
    norm = np.sqrt(1 + 1e-5)
    each, layers = [np.asarray(X)] * 2, []
    for depth, stage in enumerate(net.trunk.stages()):
        kept = own if depth else shared
        names = [f"{'task_' if depth else ''}nddr{depth}_{task}" for task in ("row", "task")]
        both = [
            stage.apply({"params": shared[f"stage{depth}_{task}"]}, x, train=False)
            for task, x in zip(("row", "task"), each, strict=True)
        ]
        each = [np.concatenate(both, -1) @ kept[name]["kernel"] / norm for name in names]
        layers.append(each[0])
    np.testing.assert_allclose(each[0].mean((1, 2)), plain.plain.features["row"], rtol=1e-4)
    half = layers[0].reshape(5, 3, 2, 3, 2, 3).mean((2, 4))
    joined = np.concatenate([half, layers[1]], -1) @ weights["kernel"] + weights["bias"]
    wanted = np.maximum(joined, 0.0).mean((1, 2))
    np.testing.assert_allclose(seen.plain.features["row"], wanted, rtol=1e-4, atol=1e-6)
    assert wanted.std() > 0


def test_shortcuts_belong_to_their_task():
    seen = through(nets.NDDR(nets.MLP((8, 4)), shortcut=True))
    of_row = seen.grads["row"]["tasks"]["own"]
    assert of_row["task_shortcut_row"]["kernel"].shape == (12, 4)
    assert (of_row["task_shortcut_row"]["kernel"] != 0).any()
    assert (of_row["task_shortcut_task"]["kernel"] == 0).all()


def test_shortcuts_to_a_vector_are_means_over_the_pixels():
    image, vector = np.arange(48.0).reshape(2, 4, 2, 3), np.zeros((2, 5))
    np.testing.assert_allclose(resize_to(image, vector), image.mean((1, 2)))
    np.testing.assert_allclose(resize_to(vector, vector), vector)


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"NDDR.same must lie between 0.0 and 1.0"):
        nets.NDDR(same=2.0)
    with pytest.raises(BadInput, match=r"NDDR.trunk must be a trunk that can be cut"):
        nets.NDDR(NDDR)
