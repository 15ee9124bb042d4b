"""A trained run from the command line to an exported model, and what is refused."""

import json
import pathlib
import re

import numpy as np
import pytest

import launch
import mtl_jax
from mtl_jax.predict.__main__ import main
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.launching import launched
from tests.small import DATA, RUN

EXPERIMENT = """
from mtl_jax import Experiment
from tests.small import RUN

EXPERIMENT = Experiment(runs=(RUN,))
"""
TUNED = """
from mtl_jax import Experiment
from mtl_jax.nets.pretrained import EXPORTED, Pretrained
from tests.small import RUN

SOURCE = Pretrained({path!r}, EXPORTED)
EXPERIMENT = Experiment(runs=(RUN.replace(name="tuned", initialization={{"init_from": SOURCE}}),))
"""
TOY = pathlib.Path(__file__).parents[2] / "experiments" / "toy_pareto.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An experiment file, and the folder of its results."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "x.py").write_text(EXPERIMENT)
    code, _, error = launched(folder / "x.py", "--out", folder / "results")
    assert code == 0, error
    return folder


def exported(trained, tmp_path, *options):
    """Exports the run; returns the folder of the model."""
    out, results = tmp_path / "model", trained / "results"
    code, text, error = launched(
        trained / "x.py", "--export", "hard", "--results", results, "--out", out, *options
    )
    assert code == 0, error
    assert text.startswith(f"hard is in {out}; its outputs differ by ")
    return out


def test_the_exported_model_has_the_measured_accuracy(trained, tmp_path):
    model = mtl_jax.load(exported(trained, tmp_path))
    result = RunDirectory(trained / "results", RUN).result()["selected"][0]["test"]
    found = model.predict(DATA.test["inputs"])
    for task in ("row", "column"):
        accuracy = (found[task].values == DATA.test[task]).mean()
        assert accuracy == pytest.approx(result[task]["accuracy"])


@pytest.mark.parametrize("kind", ["raw", "ema"])
def test_other_parameters_of_another_seed(trained, tmp_path, kind):
    out = exported(trained, tmp_path, "--parameters", kind, "--seed", 1)
    last = RunDirectory(trained / "results", RUN).result()["last"][1][kind]
    right = mtl_jax.load(out).predict(DATA.test["inputs"])["row"].values == DATA.test["row"]
    assert right.mean() == pytest.approx(last["row"]["accuracy"])
    card = (out / "README.md").read_text()
    assert f"`{kind}` of seed 1 of 2" in card and f"{100 * last['row']['accuracy']:.4g}" in card


def test_the_card_says_what_was_measured(trained, tmp_path):
    out = exported(trained, tmp_path)
    card = (out / "README.md").read_text()
    folder = RunDirectory(trained / "results", RUN)
    entry = folder.result()["selected"][0]
    for split in ("validation", "test"):
        assert f"{100 * entry[split]['row']['accuracy']:.4g} |" in card
    assert folder.fingerprint in card and folder.read("run.json")["data"] in card
    assert card.count("_to be filled in_") == 4
    for size in (1, 8, 64):
        assert f"\n| {size} | " in card
    assert f"| model.jax | {(out / 'model.jax').stat().st_size:,} |" in card


def test_predictions_of_the_exported_model(trained, tmp_path):
    out = exported(trained, tmp_path)
    np.savez(tmp_path / "x.npz", inputs=DATA.test["inputs"][:3])
    assert main([str(out), str(tmp_path / "x.npz"), "--out", str(tmp_path / "found.csv")]) == 0
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0] == "input,row,row probability,column,column probability" and len(lines) == 4


def test_an_export_replaces_an_older_one_but_nothing_else(trained, tmp_path):
    out = exported(trained, tmp_path)
    before = json.loads((out / "preprocessing.json").read_text())
    (out / "model.onnx").write_text("of the older one")
    exported(trained, tmp_path, "--seed", 1)
    assert not (out / "model.onnx").exists()
    assert json.loads((out / "preprocessing.json").read_text()) == before


def test_a_soup_of_runs_that_start_from_an_exported_model(trained, tmp_path):
    source = exported(trained, tmp_path)
    file = tmp_path / "tuned.py"
    file.write_text(TUNED.format(path=str(source)))
    results, out = tmp_path / "results", tmp_path / "soup"
    assert launched(file, "--out", results)[0] == 0
    options = ("--export", "tuned", "--results", results, "--out", out, "--seed", "soup")
    code, _, error = launched(file, *options)
    assert code == 0, error
    found = mtl_jax.load(out).predict(DATA.test["inputs"])
    accuracy = 100.0 * (found["row"].values == DATA.test["row"]).mean()
    card = (out / "README.md").read_text()
    assert "the mean of the parameters of 2 seeds" in card
    assert re.search(rf"row \| accuracy \| [\d.]+ \| {accuracy:.4g} \| -", card)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--export", "hrad"), "--export hrad is no run of the experiment (did you mean hard?)"),
        (("--export", "hard", "--seed", "9"), "Choice.seed must be one of (0, 1), not 9"),
        (("--export", "hard", "--seed", "all"), '--seed must be a seed of the run, or "soup"'),
        (("--export", "hard", "--seed", "soup"), "a mean of networks from different random starts"),
        (("--export", "hard", "--seeds", "3"), "was written by another run"),
        (
            ("--export", "hard", "--out", "{results}"),
            "--out must be a new folder or that of an exp",
        ),
        (
            ("--export", "hard", "--smoke", "--results", "none"),
            "hard: the run is not finished in non",
        ),
    ],
)
def test_other_exports_are_refused(trained, options, text):
    results = trained / "results"
    options = [option.format(results=results) for option in options]
    options += [] if "--results" in options else ["--results", results]
    code, _, error = launched(trained / "x.py", *options)
    assert code == 2 and text in error and error.count("\n") == 1


def test_a_toy_run_is_no_model():
    code, _, error = launched(TOY, "--export", "toy")
    assert code == 2 and "--export is for runs that train a model" in error


@pytest.mark.parametrize(
    "option", [("--seed", "1"), ("--results", "x"), ("--parameters", "raw"), ("--onnx",)]
)
def test_options_of_an_export_alone(option, capsys):
    with pytest.raises(SystemExit):
        launch.parse(["x.py", *option])
    assert f"argument {option[0]}: is for --export" in capsys.readouterr().err
