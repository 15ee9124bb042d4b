"""Attention: by hand over groups and positions, sure queries, whose it is, bad settings."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, changed, encoder, made, moved_by

INNER = nets.MLP((6,))
TRUNK = nets.Attention(INNER, groups=3, features=4, heads=2)


class Rows(nn.Module):
    """A trunk that keeps positions: it gives the rows of an image, `[N, 3, 2, 6]`."""

    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        scale = self.param("scale", nn.initializers.ones, (6,))
        return x.reshape(len(x), 3, 2, 6) * scale[None, None, None]


def by_hand(params, z, task):
    """Features of one task over tokens `[N, T, C]`, one head after the other."""
    shared, query = jax.device_get((params["shared"], params["tasks"]["own"][f"task_query_{task}"]))
    y, parts = z + shared["places"], []
    for head in range(2):
        keys = y @ shared["keys"]["kernel"][:, head]
        values = y @ shared["values"]["kernel"][:, head]
        raised = np.exp(keys @ query[head] / np.sqrt(2.0))
        weights = raised / raised.sum(1, keepdims=True)
        parts.append((weights[..., None] * values).sum(1))
    return np.concatenate(parts, 1)


def groups_of(params):
    h = INNER.apply({"params": params["shared"]["trunk"]}, X, train=False)
    return np.asarray(h).reshape(5, 3, 2)


@pytest.mark.parametrize("task", ["row", "height"])
def test_over_groups_by_hand(task):
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    wanted = by_hand(params, groups_of(params), task)
    np.testing.assert_allclose(features[task], wanted, atol=1e-5)


def test_over_positions_by_hand():
    trunk = nets.Attention(Rows(), groups=5, features=4, heads=2)
    _, params, stats = made(trunk)
    assert params["shared"]["places"].shape == (6, 6)  # groups do not count
    features, _ = encoder(trunk)(params, stats)
    wanted = by_hand(params, np.asarray(X).reshape(5, 6, 6), "row")
    np.testing.assert_allclose(features["row"], wanted, atol=1e-5)


def test_a_query_of_nothing_takes_the_mean():
    _, params, stats = made(TRUNK)
    own = changed(params, "tasks", task_query_row=jnp.zeros((2, 2)))
    features, _ = encoder(TRUNK)(own, stats)
    mean = (groups_of(params) + np.asarray(params["shared"]["places"])).mean(1)
    wanted = mean @ np.asarray(params["shared"]["values"]["kernel"]).reshape(2, 4)
    np.testing.assert_allclose(features["row"], wanted, atol=1e-5)
    assert not np.allclose(features["row"], features["height"])


def test_a_task_moves_what_is_shared_and_its_query():
    shared = {f"shared/{name}" for name in ("trunk", "places", "keys", "values")}
    for task in ("row", "height"):
        assert moved_by(TRUNK, task) == shared | {f"task_query_{task}"}


def test_it_convolves_if_its_trunk_does():
    assert nets.Attention(nets.CNN()).convolutional and not nets.Attention().convolutional


def test_groups_that_do_not_divide_the_features_are_refused():
    with pytest.raises(BadInput, match=r"Attention\.groups must divide the features 6, not 4"):
        made(nets.Attention(INNER, groups=4))


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"trunk": nets.Attention()}, r"Attention\.trunk must be a trunk"),
        ({"features": 6, "heads": 4}, r"Attention\.heads must divide features 6, not 4"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.Attention(**settings)
