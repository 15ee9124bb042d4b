"""Views by feature dropout: the heads of the tasks that ask read the features once more."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.step_types import StepInputs
from mtl_jax.core.views import FeatureDropoutView, view_key
from mtl_jax.train import build_model
from mtl_jax.train.decode import decode_stream
from tests.small import COLUMN, ROW
from tests.train.test_views import Watch, begun, inputs_of, watching

VIEW = FeatureDropoutView("weak", 0.25)
KEY = view_key(VIEW)


def decoded(run):
    """Outputs and features of the first step, and the stream and heads that they are of."""
    state, batch = begun(run)
    net = build_model(run)
    stream = inputs_of(run, net, state, batch)
    step = StepInputs(run, net, state, jax.random.key(0))
    features, _ = net.encode(
        encoder_params(state.params), state.batch_stats, stream.passes[0].inputs, train=True
    )
    heads = head_params(state.params)
    features = dict.fromkeys(stream.tasks, (features,))
    return decode_stream(step, heads, {}, stream, features), stream, heads


def test_the_images_are_encoded_once():
    _, stream, _ = decoded(watching(VIEW))
    assert [own.sizes for own in stream.passes] == [{"labelled": 8, "weak": 16}]


def test_outputs_are_those_of_the_dropped_features():
    found, _, heads = decoded(watching(VIEW))
    weak, dropped = (np.asarray(found.features[v]["row"]) for v in ("weak", KEY))
    zero = dropped == 0
    np.testing.assert_allclose(dropped, np.where(zero, 0.0, weak / 0.75), rtol=1e-6)
    assert 0.0 < (zero & (weak != 0)).sum() / (weak != 0).sum() < 0.6
    wanted = jnp.asarray(dropped) @ heads["row"]["kernel"] + heads["row"]["bias"][None]
    np.testing.assert_allclose(found.outputs[KEY]["row"], wanted, rtol=1e-4, atol=1e-5)


def test_a_task_that_does_not_ask_has_no_such_outputs():
    found, *_ = decoded(watching(VIEW))
    assert found.outputs[KEY].keys() == {"row", "row/own"} and found.features[KEY].keys() == {"row"}
    assert found.outputs["weak"].keys() == {"row", "row/own", "column"}


def test_each_task_and_rate_has_its_own_channels():
    other = FeatureDropoutView("weak", 0.5)
    tasks = (ROW.replace(auxiliary=Watch((VIEW, other))), COLUMN.replace(auxiliary=Watch((VIEW,))))
    found, *_ = decoded(watching(VIEW).replace(tasks=tasks))
    row, column = (np.asarray(found.features[KEY][name]) for name in ("row", "column"))
    assert ((row == 0) != (column == 0)).any()
    assert found.features[view_key(other)].keys() == {"row"}
    np.testing.assert_array_equal(found.features["weak"]["row"], found.features["weak"]["column"])
