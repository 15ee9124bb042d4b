"""FiLM: tasks start alike, scale and shift by hand, and whose they are."""

import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, changed, encoder, made, moved_by

INNER = nets.MLP((4,))
TRUNK = nets.FiLM(INNER, features=3)


def before(params):
    """The shared layer before its ReLU."""
    h = INNER.apply({"params": params["shared"]["trunk"]}, X, train=False)
    layer = params["shared"]["layer"]
    return np.asarray(h) @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])


def test_tasks_start_with_the_shared_layer():
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    for task in ("row", "height"):
        np.testing.assert_allclose(features[task], np.maximum(before(params), 0.0), atol=1e-6)
    assert (features["row"] > 0).any()


def test_scale_and_shift_by_hand():
    _, params, stats = made(TRUNK)
    scale, shift = np.array([-2.0, 0.5, -1.0], "f"), np.array([0.1, -0.2, 3.0], "f")
    own = changed(params, "tasks", task_scale_row=scale, task_shift_row=shift)
    features, _ = encoder(TRUNK)(own, stats)
    wanted = np.maximum(before(params) * [[-1.0, 1.5, 0.0]] + shift, 0.0)
    np.testing.assert_allclose(features["row"], wanted, atol=1e-5)
    np.testing.assert_allclose(features["height"], np.maximum(before(params), 0.0), atol=1e-6)


def test_a_task_moves_what_is_shared_and_its_own():
    for task in ("row", "height"):
        own = {f"task_scale_{task}", f"task_shift_{task}"}
        assert moved_by(TRUNK, task) == own | {"shared/trunk", "shared/layer"}


def test_it_convolves_if_its_trunk_does():
    assert nets.FiLM(nets.CNN()).convolutional and not nets.FiLM().convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [({"trunk": nets.FiLM()}, r"FiLM\.trunk must be a trunk")],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.FiLM(**settings)
