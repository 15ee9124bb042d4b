"""StandardizedLabels: scikit-learn's scaling of the training part, gaps kept."""

import jax
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, StandardizedLabels
from tests.data.shapes import check_shapes


def part(count, seed):
    rng = np.random.default_rng(seed)
    labels = (5 + 3 * rng.normal(size=(count, 2))).astype(np.float32)
    labels[1, 0] = np.nan
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    return {"inputs": inputs, "y": labels, "z": 9 * labels[:, 1], "kind": np.arange(count) % 2}


SOURCE = Arrays(part(20, 0), part(4, 1), part(6, 2))


def test_labels_are_scaled_as_scikit_learn_has_it():
    source = StandardizedLabels(SOURCE, ("y", "z"))
    check_shapes(source)
    y, z = (StandardScaler().fit(SOURCE.train[k].reshape(20, -1).astype(float)) for k in "yz")
    for part, own in zip(source.load(), SOURCE.load(), strict=True):
        np.testing.assert_allclose(part["y"], y.transform(own["y"]), atol=1e-6)
        np.testing.assert_allclose(part["z"], z.transform(own["z"][:, None])[:, 0], atol=1e-6)
        np.testing.assert_array_equal(part["kind"], own["kind"])
    for name, scaler in (("y", y), ("z", z)):
        mean, std = source.scales()[name]
        np.testing.assert_allclose(np.ravel(mean), scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(np.ravel(std), scaler.scale_, rtol=1e-12)
    assert source.num_labelled() == 20
    assert jax.tree.map(lambda spec: spec.dtype, source.shapes())["z"] == np.float32


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (np.full(20, 0.1, np.float32), r"must vary in train, not 0\.1"),
        (np.full((20, 2), np.nan, np.float32), "must have known values in train"),
    ],
)
def test_labels_that_do_not_vary_are_refused(label, text):
    parts = [{"inputs": p["inputs"], "y": label[: len(p["inputs"])]} for p in (part(20, 0),) * 3]
    source = StandardizedLabels(Arrays(*parts), ("y",))
    for read in (source.load, source.scales):
        with pytest.raises(BadInput, match=f"StandardizedLabels.labels: 'y' {text}"):
            read()


def test_labels_must_be_floats_that_exist():
    with pytest.raises(BadInput, match="the source has no 'x', but"):
        StandardizedLabels(SOURCE, ("x",)).shapes()
    with pytest.raises(BadInput, match="'kind' must have labels float32"):
        StandardizedLabels(SOURCE, ("kind",)).load()


@pytest.mark.parametrize(
    "settings", [(3, ("y",)), (SOURCE, ()), (SOURCE, ("y", "y")), (SOURCE, "y")]
)
def test_settings_are_checked(settings):
    with pytest.raises(BadInput, match=r"StandardizedLabels\.(source|labels) must be"):
        StandardizedLabels(*settings)
