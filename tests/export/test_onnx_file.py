"""ONNX files: equal to the function by onnxruntime, for all batch sizes; and jaxprs without calls."""

import jax
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.export.function import array_spec, flat_function, flat_inputs, flat_variables
from mtl_jax.export.onnx_file import evaluate, require_onnx, write_onnx
from mtl_jax.nets.backbones.fast_conv import convolution
from mtl_jax.predict import ArraySpec
from tests.export.models import export_random, runs

LAYOUT = ("NHWC", "HWIO", "NHWC")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["mlp", "conv", "dense", "texts"])
def test_onnxruntime_gives_the_outputs(tmp_path, name):
    pytest.importorskip("jax2onnx")
    runtime = pytest.importorskip("onnxruntime")
    run, _, trained, inputs = export_random(runs(tmp_path)[name], tmp_path / name)
    function, variables = flat_function(trained, run.tasks, inputs), flat_variables(trained)
    specs = {key: array_spec(array) for key, array in flat_inputs(inputs).items()}
    write_onnx(tmp_path / "model.onnx", function, variables, specs)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    for size in (1, 3, 17):
        x = inputs[np.arange(size) % len(inputs)]
        wanted = function(variables, {"inputs": x})
        found = session.run(sorted(wanted), {"inputs": x})
        for task, array in zip(sorted(wanted), found, strict=True):
            np.testing.assert_allclose(array, wanted[task], atol=1e-5, rtol=1e-5)


def test_calls_and_platforms_are_resolved():
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype(np.float32) for s in ((2, 2, 2, 8), (3, 3, 8, 8)))

    def function(x, kernel):
        convolved = convolution(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
        return jax.jit(jax.nn.relu)(convolved).sum(-1)

    closed = jax.make_jaxpr(function)(x, kernel)
    resolved = jax.make_jaxpr(lambda *a: evaluate(closed.jaxpr, closed.consts, a))(x, kernel)
    names = {equation.primitive.name for equation in resolved.eqns}
    assert "conv_general_dilated" in names and not names & {"cond", "jit", "custom_jvp_call"}
    np.testing.assert_allclose(
        evaluate(closed.jaxpr, closed.consts, (x, kernel))[0], function(x, kernel), atol=1e-5
    )


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        BadInput, match=r"--onnx needs the package jax2onnx: pip install mtl_jax\[on"
    ):
        require_onnx()


@pytest.mark.filterwarnings("default")
def test_what_cannot_be_converted(tmp_path):
    pytest.importorskip("jax2onnx")

    def function(variables, inputs):
        return {"a": jax.pure_callback(np.sin, inputs["x"], inputs["x"])}

    with pytest.raises(BadInput, match="jax2onnx cannot convert this model"):
        write_onnx(tmp_path / "a.onnx", function, {}, {"x": ArraySpec((2,), "float32")})
