"""A model in a folder: what it answers, in any number, and what is refused."""

import json

import numpy as np
import pytest

import mtl_jax
from mtl_jax.core.validation import BadInput
from mtl_jax.predict import ArraySpec, InputSpec, load
from mtl_jax.predict.exported_model import CHUNK_SIZE
from tests.predict.models import IMAGE, SHADE, export

X = np.linspace(0.0, 1.0, 3 * 4, dtype=np.float32).reshape(3, 2, 2, 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return export(tmp_path_factory.mktemp("models") / "model")


def test_it_is_found_again(model):
    assert model.description.inputs == IMAGE and model.description.tasks == (SHADE,)
    assert mtl_jax.load is load


def test_outputs_by_hand(model):
    wanted = np.stack([np.full(3, 2.0), X.sum((1, 2, 3))], -1)
    np.testing.assert_allclose(model(X)["shade"], wanted, rtol=1e-6)
    assert model.predict(X)["shade"].values.tolist() == [0, 0, 1]


def test_more_inputs_than_a_chunk(model):
    many = np.random.default_rng(0).random((CHUNK_SIZE + 3, 2, 2, 1), np.float32)
    found = model.predict(many)["shade"]
    assert found.outputs.shape == (CHUNK_SIZE + 3, 2)
    np.testing.assert_allclose(found.outputs[:, 1], many.sum((1, 2, 3)), rtol=1e-5)


def test_bytes_are_scaled(model):
    some = np.array([[0, 255], [51, 102]], np.uint8).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(model(some)["shade"][0, 1], 1.6, rtol=1e-6)
    np.testing.assert_array_equal(model({"inputs": some})["shade"], model(some)["shade"])
    np.testing.assert_array_equal(model(X.astype(np.float64))["shade"], model(X)["shade"])


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (X[:, :1], r"inputs must be float32 \[N, 2, 2, 1\], not float32 \[3, 1, 2, 1\]"),
        (X[0, 0, 0], r"inputs must be float32 \[N, 2, 2, 1\], not float32 \[1\]"),
        (X.astype(int), r"inputs must be float32 .*, not int64"),
        (X * 255.0, r"inputs must lie in \[0, 1\], or be uint8"),
        (X * np.nan, "inputs must be finite"),
        (X[:0], "as many examples each, at least 1"),
        ({"images": X}, r"inputs must be inputs, not \['images'\]"),
    ],
)
def test_other_inputs_are_refused(model, inputs, text):
    with pytest.raises(BadInput, match=text):
        model(inputs)


def test_tokens_of_any_integers(tmp_path):
    spec = InputSpec("tokens", {"inputs": ArraySpec((4,), "int32")})

    def total(variables, inputs):
        return {"shade": (inputs["inputs"][:, :2] + 0).astype("float32")}

    model = export(tmp_path, total, spec)
    assert model(np.arange(4)[None])["shade"].tolist() == [[0.0, 1.0]]
    with pytest.raises(BadInput, match="inputs must be tokens of at least 0, not -1"):
        model(np.full((1, 4), -1))
    with pytest.raises(BadInput, match=r"inputs must be int32 \[N, 4\], not float64"):
        model(np.zeros((1, 4)))


def test_folders_that_are_none(tmp_path):
    with pytest.raises(BadInput, match="must be the folder of an exported model, it has no prepro"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.jax"])
def test_a_folder_without_a_file(tmp_path, name):
    export(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=r"must hold model.jax and model.safetensors, whole"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 9}, "has format 9, and this version reads 1"),
        ({"tasks": [{}]}, "is damaged .BadInput"),
    ],
)
def test_descriptions_that_are_not_read(tmp_path, change, text):
    export(tmp_path)
    path = tmp_path / "preprocessing.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInput, match=text):
        load(tmp_path)
