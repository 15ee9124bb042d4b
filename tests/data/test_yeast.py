"""Yeast: what is in it, its parts, and what is refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Yeast
from mtl_jax.data.datasets import yeast
from tests.data.shapes import check_shapes

pytest.importorskip("river", reason="the data are in the package river")


def test_known_counts():
    splits = Yeast().load()
    labels = np.concatenate([np.stack([p[n] for n in yeast.label_names()], 1) for p in splits])
    assert labels.shape == (2417, 14)
    # Mulan's description of the data: 4.237 labels a gene, 198 different sets of them.
    np.testing.assert_allclose(labels.sum(1).mean(), 4.237, atol=5e-4)
    assert len(np.unique(labels, axis=0)) == 198


def test_numbers_have_unit_variance_over_the_training_part():
    image = Yeast().load().train["inputs"].astype(np.float64)
    np.testing.assert_allclose(image.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(image.std(0), 1.0, atol=1e-5)


def test_parts_share_no_gene_and_the_seed_decides():
    one, other = Yeast(seed=0).load(), Yeast(seed=1).load()
    rows = np.concatenate([part["inputs"] for part in one])
    assert len(np.unique(rows.round(4), axis=0)) == len(rows) == 2417
    assert [len(part["class1"]) for part in one] == [1451, 483, 483]
    assert not np.array_equal(one.train["class1"], other.train["class1"])


def test_every_gene_has_its_own_numbers_and_labels():
    from river import datasets

    # River's own reader has them by names.
    genes = [([*x.values()], [y[f"Class{n}"] for n in range(1, 15)]) for x, y in datasets.Yeast()]

    def keys(numbers):  # The same for numbers that were standardised before.
        return np.round((numbers - numbers.mean(0)) / numbers.std(0), 3)

    splits = Yeast(seed=2).load()
    image = np.concatenate([part["inputs"] for part in splits]).astype(np.float64)
    labels = np.concatenate([np.stack([p[n] for n in yeast.label_names()], 1) for p in splits])
    known = keys(np.array([numbers for numbers, _ in genes]))
    ours = keys(image)
    place = np.array([np.abs(known - row).max(1).argmin() for row in ours])
    assert np.abs(known[place] - ours).max() < 0.01 and len(set(place)) == 2417
    np.testing.assert_array_equal(labels, np.array([y for _, y in genes], float)[place])


def test_shapes_are_told_without_reading(monkeypatch):
    check_shapes(Yeast(validation=0.1))
    monkeypatch.setattr(yeast, "read_table", None)
    Yeast().shapes()


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(yeast.importlib.resources, "files", missing)
    with pytest.raises(BadInput, match=r"pip install mtl_jax\[data\]"):
        Yeast().load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"test": 0.6, "validation": 0.4}, "Yeast.validation and test must leave genes"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Yeast(**settings)
