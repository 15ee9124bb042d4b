"""Exported models in a process without the training code: equal to it, for all batch sizes."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest

import mtl_jax
from mtl_jax.core.validation import BadInput
from mtl_jax.export import Choice, export_run
from mtl_jax.export.exported_run import out_avals
from mtl_jax.nets.pretrained import EXPORTED, Pretrained
from mtl_jax.predict.module import PLATFORMS
from mtl_jax.train import build_model
from mtl_jax.train.views import as_float
from tests.export.models import export_random, runs
from tests.small import RUN

SIZES = (1, 3, 17)
# What neither JAX nor NumPy, Pillow and safetensors need.
FORBIDDEN = ("chex", "flax", "matplotlib", "optax", "orbax", "sklearn", "tensorflow_datasets")
ALONE = f"""
import importlib.abc, sys


class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {FORBIDDEN!r}:
            raise ImportError(name)


sys.meta_path.insert(0, Forbid())
import numpy as np
import mtl_jax

for name in sys.argv[2:]:
    model = mtl_jax.load(f"{{sys.argv[1]}}/{{name}}")
    inputs = dict(np.load(f"{{sys.argv[1]}}/{{name}}.npz"))
    outputs = {{}}
    for size in {SIZES!r}:
        found = model({{key: array[:size] for key, array in inputs.items()}})
        outputs |= {{f"{{task}} {{size}}": array for task, array in found.items()}}
    np.savez(f"{{sys.argv[1]}}/{{name}}.outputs.npz", **outputs)
print(sorted({{name.split(".")[1] for name in sys.modules if name.startswith("mtl_jax.")}}))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of exported models, and what they were made from by name."""
    folder = tmp_path_factory.mktemp("exported")
    found = {n: export_random(run, folder / n) for n, run in runs(folder).items()}
    return folder, found


@pytest.fixture(scope="module")
def alone(exported):
    """The outputs of all models by name, from a process without the training code."""
    folder, found = exported
    rows = np.arange(max(SIZES))
    for name, each in found.items():
        arrays = each.inputs if isinstance(each.inputs, dict) else {"inputs": each.inputs}
        np.savez(folder / f"{name}.npz", **{k: a[rows % len(a)] for k, a in arrays.items()})
    command = [sys.executable, "-c", ALONE, str(folder), *found]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    outputs = {name: dict(np.load(folder / f"{name}.outputs.npz")) for name in found}
    return outputs, out.stdout


def test_the_reader_needs_no_training_code(alone):
    loaded = alone[1]
    assert "'predict'" in loaded
    assert not any(f"'{n}'" in loaded for n in ("nets", "train", "config", "export", "transfer"))


@pytest.mark.parametrize(
    "name", ["mlp", "conv", "lora", "adashare", "dense", "texts", "table", "graphs"]
)
def test_outputs_are_those_of_the_training_code(exported, alone, name):
    folder, found = exported
    run, model = found[name].run, build_model(found[name].run)
    inputs = dict(np.load(folder / f"{name}.npz"))
    params, stats = jax.tree.map(lambda leaf: leaf[0], found[name].variables)
    x = as_float(inputs if name == "graphs" else inputs["inputs"])
    outputs, _ = jax.jit(lambda *a: model.apply(*a, train=False))(params, stats, x)
    for task in run.tasks:
        wanted = np.asarray(outputs.logits[task.name])
        assert wanted.std() > 0
        for size in SIZES:
            ours = alone[0][name][f"{task.name} {size}"]
            np.testing.assert_allclose(ours, wanted[:size], atol=1e-5, rtol=1e-5)


def test_added_parameters_are_merged(exported):
    folder, found = exported
    model = mtl_jax.load(folder / "lora")
    names = {"params/shared/Dense_0/kernel", "params/shared/Dense_0/bias"}
    names |= {f"params/tasks/heads/{t}/{p}" for t in ("row", "column") for p in ("kernel", "bias")}
    assert model.variables.keys() == names
    assert found["lora"].trained.params["shared"]["Dense_0"]["kernel"].shape == (36, 12)


def test_modules_are_for_all_platforms_and_any_batch(exported):
    model = mtl_jax.load(exported[0] / "conv")
    assert model.exported.platforms == PLATFORMS
    assert str(out_avals(model.exported)["row"].shape) == "(batch, 3)"
    assert "_platform_index" in model.exported.mlir_module()


def test_weights_are_arguments_of_the_module(exported):
    model, x = mtl_jax.load(exported[0] / "mlp"), exported[1]["mlp"].inputs[:2]
    bias = "params/tasks/heads/row/bias"
    moved = dataclasses.replace(
        model, variables={**model.variables, bias: model.variables[bias] + 2.0}
    )
    np.testing.assert_allclose(moved(x)["row"], model(x)["row"] + 2.0, rtol=1e-6)
    np.testing.assert_array_equal(moved(x)["column"], model(x)["column"])


def test_an_exported_model_is_a_source_by_path(exported):
    folder, found = exported
    run, _, trained, _ = found["conv"]
    for path in (folder / "conv", folder / "conv" / "model.safetensors"):
        weights = Pretrained(str(path), EXPORTED).load(run.trunk, (6, 6, 1))
        jax.tree.map(np.testing.assert_array_equal, weights.params, trained.params["shared"])
        jax.tree.map(np.testing.assert_array_equal, weights.stats, trained.batch_stats)


def test_auxiliary_heads_are_left_out(exported):
    _, found = exported
    heads = found["mlp"].trained.params["tasks"]["heads"]
    assert heads.keys() == {"row", "column"} < found["mlp"].variables[0]["tasks"]["heads"].keys()


@pytest.mark.parametrize("content", ["a file", "another folder"])
def test_other_folders_are_not_overwritten(tmp_path, content):
    out = tmp_path / "out"
    if content == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "run.json").write_text("{}")
    with pytest.raises(BadInput, match="--out must be a"):
        export_run(RUN, None, Choice(), out)
