"""The command: its table, the arrays beside it, and its errors."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.predict import ArraySpec, InputSpec, TaskSpec
from mtl_jax.predict.__main__ import main
from tests.predict.models import export

VECTOR = InputSpec("vector", {"inputs": ArraySpec((2,), "float32")})
TASKS = (
    TaskSpec("kind", "multiclass", ("cat", "dog, big")),
    TaskSpec("is", "binary"),
    TaskSpec("tags", "multilabel", ("old", "new")),
    TaskSpec("size", "continuous", mean=(1.0,), std=(2.0,)),
    TaskSpec("place", "continuous"),
    TaskSpec("map", "multiclass"),
    TaskSpec("depth", "continuous"),
    TaskSpec("mask", "multilabel"),
    TaskSpec("found", "boxes"),
    TaskSpec("raw", "arrays"),
)
SHAPES = {
    "kind": (2,), "is": (1,), "tags": (2,), "size": (1,), "place": (2,), "map": (3, 4, 2),
    "depth": (3, 4, 1), "mask": (3, 4, 2), "found/boxes": (1, 4), "found/scores": (1,),
    "found/classes": (1,), "found/heatmap": (3, 4, 2), "raw": (5, 2),
}  # fmt: skip


def outputs(variables, inputs):
    """The second feature at the last place of each output, else 0."""
    x = inputs["inputs"][:, 1]
    return {
        name: jnp.zeros((x.shape[0], *shape))
        .at[..., -1]
        .add(x.reshape(-1, *(1,) * (len(shape) - 1)))
        for name, shape in SHAPES.items()
    }


@pytest.fixture
def model(tmp_path):
    specs = {name: ArraySpec(shape, "float32") for name, shape in SHAPES.items()}
    export(tmp_path / "model", outputs, VECTOR, TASKS, specs)
    return tmp_path / "model"


def test_a_table_with_every_task(model, tmp_path, capsys):
    (tmp_path / "x.csv").write_text(f"a,b\n0,{np.log(3.0)}\n0,-1\n")
    out = tmp_path / "new" / "found.csv"
    assert main([str(model), str(tmp_path / "x.csv"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"2 predictions in {out}\n"
    with open(out, newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["input"], second["input"]) == ("1", "2")
    assert (first["kind"], second["kind"], first["is"], second["is"]) == (
        "dog, big",
        "cat",
        "1",
        "0",
    )
    for name in ("kind probability", "is probability", "tags new probability"):
        assert float(first[name]) == pytest.approx(0.75)
    assert float(first["tags old probability"]) == 0.5
    assert float(first["size"]) == pytest.approx(1.0 + 2.0 * np.log(3.0))
    assert float(first["place 1"]) == pytest.approx(np.log(3.0)) and first["place 0"] == "0.0"
    chosen, probability = (np.load(out.parent / first[c]) for c in ("map", "map probability"))
    assert (chosen == 1).all() and chosen.shape == (3, 4)
    np.testing.assert_allclose(probability, np.full((3, 4), 0.75), rtol=1e-6)
    assert np.load(out.parent / second["depth"]).shape == (3, 4, 1)
    assert np.load(out.parent / first["mask probability"])[..., 1] == pytest.approx(0.75)
    assert np.load(out.parent / first["found"]).keys() == {"boxes", "scores", "classes"}
    assert np.load(out.parent / first["raw"]).shape == (5, 2)
    assert first["map"] == "found/000001.map.npy" and not list(tmp_path.rglob("*.half"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("model", "none.csv"), "there is no"),
        ((".", "x.csv"), "must be the folder of an exported model"),
        (("model", "x.csv", "--out", "x.csv/y.csv"), "--out must be writable"),
        (("model", "x.csv", "--out", "found"), "--out must end in .csv, not found"),
    ],
)
def test_errors_are_one_line(model, tmp_path, capsys, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n0,1\n")
    assert main([*arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and text in error and error.count("\n") == 1


def test_a_row_that_is_not_read_leaves_no_table(model, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n0,1\n0,many\n")
    assert main([str(model), str(tmp_path / "x.csv"), "--out", str(tmp_path / "o.csv")]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"model", "x.csv"}
